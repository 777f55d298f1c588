package volume

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	authenticationv1 "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/agent/csi"
	"github.com/reckon-project/reckon/events"
)

// mountInline gives a pod a volume that a CSI driver makes for it alone.
func (m *Manager) mountInline(ctx context.Context, pod *v1.Pod, v *v1.Volume) (Mounted, error) {
	s := v.CSI
	out := csi.Volume{
		Name: v.Name, Driver: s.Driver, Handle: csi.EphemeralHandle(string(pod.UID), v.Name), Ephemeral: true,
		ReadOnly: s.ReadOnly != nil && *s.ReadOnly, AccessMode: v1.ReadWriteOnce, Attributes: s.VolumeAttributes,
	}
	if s.FSType != nil {
		out.FSType = *s.FSType
	}
	var err error
	if s.NodePublishSecretRef != nil {
		ref := &v1.SecretReference{Namespace: pod.Namespace, Name: s.NodePublishSecretRef.Name}
		if out.PublishSecrets, err = m.credentials(ref, "NodePublishSecretRef"); err != nil {
			return Mounted{}, err
		}
	}
	return m.publish(ctx, pod, out, []v1.PersistentVolumeAccessMode{v1.ReadWriteOnce})
}

// mountPersistent gives a pod a persistent volume of a CSI driver.
func (m *Manager) mountPersistent(ctx context.Context, pod *v1.Pod, claim *v1.PersistentVolumeClaim, v *v1.PersistentVolume, block, readOnly bool) (Mounted, error) {
	s := v.Spec.CSI
	out := csi.Volume{
		Name: v.Name, Driver: s.Driver, Handle: s.VolumeHandle, Block: block, ReadOnly: readOnly || s.ReadOnly,
		FSType: s.FSType, AccessMode: v1.ReadWriteOnce, MountOptions: v.Spec.MountOptions, Attributes: s.VolumeAttributes,
	}
	if len(v.Spec.AccessModes) > 0 {
		out.AccessMode = v.Spec.AccessModes[0]
	}
	if err := m.attached(&out); err != nil {
		return Mounted{}, err
	}
	for _, c := range []struct {
		ref  *v1.SecretReference
		name string
		to   *map[string]string
	}{
		{s.NodeStageSecretRef, "NodeStageSecretRef", &out.StageSecrets},
		{s.NodePublishSecretRef, "NodePublishSecretRef", &out.PublishSecrets},
		{s.NodeExpandSecretRef, "NodeExpandSecretRef", &out.ExpandSecrets},
	} {
		var err error
		if *c.to, err = m.credentials(c.ref, c.name); err != nil {
			return Mounted{}, err
		}
	}
	mounted, err := m.publish(ctx, pod, out, v.Spec.AccessModes)
	if err != nil {
		return mounted, err
	}
	m.expand(ctx, pod, claim, v, out)
	return mounted, nil
}

// attached waits, by failing, until the volume is attached to the node, where its driver wants that.
func (m *Manager) attached(v *csi.Volume) error {
	if driver, ok := m.Objects.Driver(v.Driver); ok && driver.Spec.AttachRequired != nil && !*driver.Spec.AttachRequired {
		return nil
	}
	v.Attachment = csi.AttachmentName(v.Handle, v.Driver, m.Node)
	a, ok := m.Objects.Attachment(v.Attachment)
	if ok && a.DeletionTimestamp == nil && a.Status.Attached {
		v.PublishContext = a.Status.AttachmentMetadata
		return nil
	}
	if ok && a.Status.AttachError != nil {
		return failf(events.ErrUnavailable, "AttachVolume.Attach failed for volume %q : %s", v.Name, a.Status.AttachError.Message)
	}
	return failf(events.ErrUnavailable, "waiting for external-attacher of %s CSI driver to attach volume %s", v.Driver, v.Handle)
}

func (m *Manager) credentials(ref *v1.SecretReference, what string) (map[string]string, error) {
	if ref == nil {
		return nil, nil
	}
	secret, ok := m.Objects.Secret(ref.Namespace, ref.Name)
	if !ok {
		return nil, failf(events.ErrNotFound, "fetching %s %s/%s failed: secret %q not found", what, ref.Namespace, ref.Name, ref.Name)
	}
	out := make(map[string]string, len(secret.Data))
	for k, v := range secret.Data {
		out[k] = string(v)
	}
	return out, nil
}

// publish adds what the cluster says of the driver, and has it mount the volume.
func (m *Manager) publish(ctx context.Context, pod *v1.Pod, v csi.Volume, modes []v1.PersistentVolumeAccessMode) (Mounted, error) {
	if m.CSI == nil {
		return Mounted{}, failf(events.ErrInvalid, "no volume plugin matched: this node has no CSI drivers")
	}
	info, known := m.Objects.Driver(v.Driver)
	if err := lifecycle(info, known, &v); err != nil {
		return Mounted{}, err
	}
	policy := storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy
	if known {
		if p := info.Spec.FSGroupPolicy; p != nil {
			policy = *p
		}
		if info.Spec.PodInfoOnMount != nil && *info.Spec.PodInfoOnMount {
			v.Attributes = with(v.Attributes, podInfo(pod, v.Ephemeral))
		}
		if err := m.addTokens(ctx, pod, &v, info); err != nil {
			return Mounted{}, err
		}
		v.Republish = info.Spec.RequiresRepublish != nil && *info.Spec.RequiresRepublish
	}
	if !v.Block {
		v.Group = fsGroup(pod)
		if v.Group != nil && ownable(policy, &v, modes) {
			v.Own = func(path string) error { return own(path, pod) }
		}
	}
	path, err := m.CSI.Publish(ctx, string(pod.UID), v)
	return Mounted{Path: path, ReadOnly: v.ReadOnly, Block: v.Block}, err
}

// lifecycle checks that the driver has volumes of this sort.
func lifecycle(info *storagev1.CSIDriver, known bool, v *csi.Volume) error {
	mode := storagev1.VolumeLifecyclePersistent
	if v.Ephemeral {
		mode = storagev1.VolumeLifecycleEphemeral
	}
	switch {
	case !known && !v.Ephemeral:
		return nil // nobody needs to say that
	case !known:
		return failf(events.ErrInvalid, "volume mode %q not supported by driver %s (no CSIDriver object)", mode, v.Driver)
	case len(info.Spec.VolumeLifecycleModes) == 0 && !v.Ephemeral, slices.Contains(info.Spec.VolumeLifecycleModes, mode):
		return nil
	}
	return failf(events.ErrInvalid, "volume mode %q not supported by driver %s (only supports %q)", mode, v.Driver, info.Spec.VolumeLifecycleModes)
}

func podInfo(pod *v1.Pod, ephemeral bool) map[string]string {
	return map[string]string{
		"csi.storage.k8s.io/pod.name":            pod.Name,
		"csi.storage.k8s.io/pod.namespace":       pod.Namespace,
		"csi.storage.k8s.io/pod.uid":             string(pod.UID),
		"csi.storage.k8s.io/serviceAccount.name": pod.Spec.ServiceAccountName,
		"csi.storage.k8s.io/ephemeral":           strconv.FormatBool(ephemeral),
	}
}

// addTokens gives the driver the pod's tokens that it asks for.
func (m *Manager) addTokens(ctx context.Context, pod *v1.Pod, v *csi.Volume, info *storagev1.CSIDriver) error {
	if len(info.Spec.TokenRequests) == 0 {
		return nil
	}
	tokens := map[string]authenticationv1.TokenRequestStatus{}
	for _, r := range info.Spec.TokenRequests {
		key := tokenKey{string(pod.UID), "csi/" + v.Driver, r.Audience}
		token, err := m.token(ctx, key, pod, &v1.ServiceAccountTokenProjection{Audience: r.Audience, ExpirationSeconds: r.ExpirationSeconds})
		if err != nil {
			return err
		}
		tokens[r.Audience] = authenticationv1.TokenRequestStatus{Token: token.token, ExpirationTimestamp: metav1.NewTime(token.expires)}
	}
	data, err := json.Marshal(tokens)
	if err != nil {
		return err
	}
	add := map[string]string{"csi.storage.k8s.io/serviceAccount.tokens": string(data)}
	if info.Spec.ServiceAccountTokenInSecrets != nil && *info.Spec.ServiceAccountTokenInSecrets {
		v.PublishSecrets = with(v.PublishSecrets, add)
	} else {
		v.Attributes = with(v.Attributes, add)
	}
	return nil
}

func with(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, b)
	return out
}

// ownable reports whether the node is to give the volume to the pod's group.
func ownable(policy storagev1.FSGroupPolicy, v *csi.Volume, modes []v1.PersistentVolumeAccessMode) bool {
	switch {
	case v.ReadOnly || policy == storagev1.NoneFSGroupPolicy:
		return false
	case policy == storagev1.FileFSGroupPolicy:
		return true
	}
	return v.FSType != "" && (slices.Contains(modes, v1.ReadWriteOnce) || slices.Contains(modes, v1.ReadWriteOncePod))
}
