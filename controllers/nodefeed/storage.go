package nodefeed

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// What nodes need to know of storage beyond claims and volumes: CSI drivers and trust
// bundles go to all, an attachment to its node, and the secrets that a volume names
// to the nodes that have the volume.
var (
	csiDriver   = controllers.Kind{Group: "storage.k8s.io", Version: "v1", Kind: "CSIDriver", Resource: "csidrivers"}
	trustBundle = controllers.Kind{Group: "certificates.k8s.io", Version: "v1", Kind: "ClusterTrustBundle", Resource: "clustertrustbundles"}
)

// groups are of the resources on the feed that aren't of the core group: subjects don't say it.
var groups = map[string]string{
	controllers.EndpointSlice.Resource:    controllers.EndpointSlice.Group,
	controllers.VolumeAttachment.Resource: controllers.VolumeAttachment.Group,
	csiDriver.Resource:                    csiDriver.Group,
	trustBundle.Resource:                  trustBundle.Group,
}

// storage is what was published of it, and why.
type storage struct {
	attached map[events.Key]string       // by attachment: its node
	secrets  map[events.Key][]events.Key // by volume in use: those that it names
}

func newStorage() storage {
	return storage{map[events.Key]string{}, map[events.Key][]events.Key{}}
}

func isAttachment(k events.Key) bool {
	return k.Group == controllers.VolumeAttachment.Group && k.Resource == controllers.VolumeAttachment.Resource
}

// attachmentChanged shows an attachment to its node.
func (t *tables) attachmentChanged(s *projections.Snapshot, key events.Key) {
	on := ""
	if a, ok := projections.Get[*storagev1.VolumeAttachment](s, key); ok {
		on = a.Spec.NodeName
	}
	t.move(s, t.storage.attached, key, on)
}

// secretsOf are the secrets that a volume's CSI driver needs on a node.
func secretsOf(s *projections.Snapshot, key events.Key) []events.Key {
	v, ok := projections.Get[*corev1.PersistentVolume](s, key)
	if !ok || v.Spec.CSI == nil {
		return nil
	}
	var out []events.Key
	for _, ref := range []*corev1.SecretReference{v.Spec.CSI.NodeStageSecretRef, v.Spec.CSI.NodePublishSecretRef, v.Spec.CSI.NodeExpandSecretRef} {
		if ref == nil {
			continue
		}
		if k := controllers.Secret.Key(ref.Namespace, ref.Name); !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

// volumeUsed gives a node, which now has a volume, its secrets.
func (t *tables) volumeUsed(s *projections.Snapshot, key events.Key, on string) {
	if len(t.users[key]) == 1 { // the first
		if refs := secretsOf(s, key); refs != nil {
			t.storage.secrets[key] = refs
		}
	}
	for _, ref := range t.storage.secrets[key] {
		t.use(s, ref, on)
	}
}

// volumeUnused takes them away again.
func (t *tables) volumeUnused(s *projections.Snapshot, key events.Key, on string) {
	for _, ref := range t.storage.secrets[key] {
		t.unuse(s, ref, on)
	}
	if len(t.users[key]) == 0 {
		delete(t.storage.secrets, key)
	}
}

// secretsChanged has the nodes of a volume follow it to other secrets.
func (t *tables) secretsChanged(s *projections.Snapshot, key events.Key) {
	users := t.users[key]
	if len(users) == 0 {
		return
	}
	old, now := t.storage.secrets[key], secretsOf(s, key)
	if slices.Equal(old, now) {
		return
	}
	t.storage.secrets[key] = now
	for _, on := range slices.Sorted(maps.Keys(users)) {
		for _, ref := range now {
			t.use(s, ref, on)
		}
		for _, ref := range old {
			t.unuse(s, ref, on)
		}
	}
}

// allStorage looks at every attachment, and at the volumes in use.
func (t *tables) allStorage(s *projections.Snapshot) {
	for key := range maps.Clone(t.storage.attached) {
		t.attachmentChanged(s, key)
	}
	for o := range s.List(controllers.VolumeAttachment.Group, controllers.VolumeAttachment.Resource, "") {
		t.attachmentChanged(s, o.Key)
	}
	var volumes []events.Key
	for key := range t.users {
		if isVolume(key) {
			volumes = append(volumes, key)
		}
	}
	for _, key := range volumes {
		t.secretsChanged(s, key)
	}
}
