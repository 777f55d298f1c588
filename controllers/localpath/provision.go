package localpath

import (
	"context"
	"fmt"
	"path"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	storagehelpers "k8s.io/component-helpers/storage/volume"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// What the provisioner, its class and its nodes call things.
const (
	Provisioner = "reckon.dev/local-path"
	ClassName   = "local-path"
	// AnnFolder on a node says where its volumes lie.
	AnnFolder = "reckon.dev/volumes"
	// AnnNode on a volume names its node.
	AnnNode = "reckon.dev/node"
	// FolderRemoved is the status.reason by which a node says that a volume's folder is gone.
	FolderRemoved = "FolderRemoved"

	annTold   = "reckon.dev/told"
	finalizer = storagehelpers.PVDeletionProtectionFinalizer
)

// New makes the provisioner.
func New() *controllers.Controller {
	return controllers.New("local-path-provisioner").As("persistent-volume-binder").
		Watches("", "persistentvolumeclaims", claimChanged).
		Watches("", "persistentvolumes", volumeChanged).
		Watches("", "nodes", nodeChanged).
		Writes(events.Progressed).
		Reconcile(reconcile)
}

func claimChanged(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if claim, ok := value[*corev1.PersistentVolumeClaim](c.New); ok && ours(claim) {
		add(c.New.Key)
	}
}

func volumeChanged(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
	v, ok := value[*corev1.PersistentVolume](c.New)
	if ok && v.Annotations[storagehelpers.AnnDynamicallyProvisioned] == Provisioner && v.Status.Phase != corev1.VolumeBound {
		add(c.New.Key)
	}
}

// nodeChanged maps a node that says where its volumes lie, or that is gone, to
// what waits for it.
func nodeChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	before, had := value[*corev1.Node](c.Old)
	after, has := value[*corev1.Node](c.New)
	if had && has && before.Annotations[AnnFolder] == after.Annotations[AnnFolder] || !had && has && c.Event == nil {
		return
	}
	name := controllers.KeyOf(c).Name
	for claim := range projections.List[*corev1.PersistentVolumeClaim](s, "", "persistentvolumeclaims", "") {
		if ours(claim) && claim.Annotations[storagehelpers.AnnSelectedNode] == name {
			add(controllers.PersistentVolumeClaim.Key(claim.Namespace, claim.Name))
		}
	}
	if has {
		return
	}
	for v := range projections.List[*corev1.PersistentVolume](s, "", "persistentvolumes", "") {
		if v.DeletionTimestamp != nil && v.Annotations[AnnNode] == name {
			add(controllers.PersistentVolume.Key("", v.Name))
		}
	}
}

// ours reports a claim that waits for a volume of this provisioner.
func ours(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Spec.VolumeName == "" && claim.DeletionTimestamp == nil && claim.Annotations[storagehelpers.AnnStorageProvisioner] == Provisioner
}

func value[T any](o *events.Object) (v T, ok bool) {
	if !o.Exists() {
		return v, false
	}
	v, ok = o.Value.(T)
	return v, ok
}

func reconcile(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if claim, ok := value[*corev1.PersistentVolumeClaim](o); ok && ours(claim) {
		return controllers.Do(provision(s, o, claim)...), nil
	}
	if v, ok := value[*corev1.PersistentVolume](o); ok {
		return controllers.Do(remove(s, o, v)...), nil
	}
	return controllers.Result{}, nil
}

// provision makes the volume of a claim.
func provision(s *projections.Snapshot, o *events.Object, claim *corev1.PersistentVolumeClaim) []controllers.Intent {
	class, ok := projections.Get[*storagev1.StorageClass](s, controllers.StorageClass.Key("", storagehelpers.GetPersistentVolumeClaimClass(claim)))
	if !ok || class.Provisioner != Provisioner || s.Get(controllers.PersistentVolume.Key("", nameFor(claim))).Exists() {
		return nil
	}
	if why := refuses(claim); why != "" {
		return refuse(o, claim, why)
	}
	on := claim.Annotations[storagehelpers.AnnSelectedNode]
	if on == "" {
		if class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer {
			return nil // the scheduler will say
		}
		return refuse(o, claim, fmt.Sprintf("a volume of %s is on the node of its pod: class %s must have volumeBindingMode WaitForFirstConsumer", Provisioner, class.Name))
	}
	node, ok := projections.Get[*corev1.Node](s, controllers.Node.Key("", on))
	if !ok {
		changed := claim.DeepCopy() // the scheduler selects another
		delete(changed.Annotations, storagehelpers.AnnSelectedNode)
		return []controllers.Intent{controllers.Update(o, changed)}
	}
	if node.Annotations[AnnFolder] == "" {
		return refuse(o, claim, fmt.Sprintf("node %s doesn't say where its volumes are (annotation %s)", on, AnnFolder))
	}
	return []controllers.Intent{controllers.Create(controllers.PersistentVolume, newVolume(claim, class, node))}
}

func nameFor(claim *corev1.PersistentVolumeClaim) string { return "pvc-" + string(claim.UID) }

// refuses says what a claim asks for that a folder can't give.
func refuses(claim *corev1.PersistentVolumeClaim) string {
	if claim.Spec.Selector != nil {
		return "claim.Spec.Selector is not supported"
	}
	if m := claim.Spec.VolumeMode; m != nil && *m == corev1.PersistentVolumeBlock {
		return "a folder is no block device: volumeMode must be Filesystem"
	}
	for _, m := range claim.Spec.AccessModes {
		if m != corev1.ReadWriteOnce && m != corev1.ReadWriteOncePod {
			return fmt.Sprintf("a volume on one node can't be %s: only ReadWriteOnce and ReadWriteOncePod", m)
		}
	}
	return ""
}

// refuse says once why a claim gets no volume.
func refuse(o *events.Object, claim *corev1.PersistentVolumeClaim, why string) []controllers.Intent {
	note := fmt.Sprintf("failed to provision volume with StorageClass %q: %s", storagehelpers.GetPersistentVolumeClaimClass(claim), why)
	if claim.Annotations[annTold] == note {
		return nil
	}
	changed := claim.DeepCopy()
	changed.Annotations[annTold] = note
	return []controllers.Intent{controllers.Progressed(o, changed).Because("ProvisioningFailed", "%s", note)}
}

func newVolume(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, node *corev1.Node) *corev1.PersistentVolume {
	policy := corev1.PersistentVolumeReclaimDelete
	if class.ReclaimPolicy != nil {
		policy = *class.ReclaimPolicy
	}
	host := node.Labels[corev1.LabelHostname]
	if host == "" {
		host = node.Name
	}
	mode := corev1.PersistentVolumeFilesystem
	v := &corev1.PersistentVolume{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolume"},
		ObjectMeta: metav1.ObjectMeta{
			Name:        nameFor(claim),
			Annotations: map[string]string{storagehelpers.AnnDynamicallyProvisioned: Provisioner, AnnNode: node.Name},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes:                   claim.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: policy,
			StorageClassName:              class.Name,
			VolumeMode:                    &mode,
			VolumeAttributesClassName:     claim.Spec.VolumeAttributesClassName,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID, ResourceVersion: claim.ResourceVersion,
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{host}}},
			}}}},
		},
	}
	v.Spec.Local = &corev1.LocalVolumeSource{Path: path.Join(node.Annotations[AnnFolder], v.Name+"_"+claim.Namespace+"_"+claim.Name)}
	if policy == corev1.PersistentVolumeReclaimDelete {
		v.Finalizers = []string{finalizer}
	}
	return v
}
