package volumebinding

import (
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagehelpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// unboundClaim looks for a volume for a claim that never had one.
func unboundClaim(s *projections.Snapshot, o *events.Object, claim *corev1.PersistentVolumeClaim) []controllers.Intent {
	if claim.DeletionTimestamp != nil {
		return nil
	}
	if claim.Spec.VolumeName != "" {
		return namedVolume(s, o, claim)
	}
	class, _ := storageClass(s, classOf(claim))
	delayed := waitsForConsumer(class)
	found := match(s, claim, delayed)
	if found != nil {
		return bind(found, o, claim)
	}
	if intents := assignDefault(s, o, claim); intents != nil {
		return intents
	}
	switch {
	case delayed && !storagehelpers.IsDelayBindingProvisioning(claim):
		return wait(o, claim, "WaitForFirstConsumer", "waiting for first consumer to be created before binding")
	case classOf(claim) == "":
		return wait(o, claim, "FailedBinding", "no persistent volumes available for this claim and no storage class is set")
	case class == nil:
		return wait(o, claim, "ProvisioningFailed", fmt.Sprintf("storageclass.storage.k8s.io %q not found", classOf(claim)))
	case strings.HasPrefix(class.Provisioner, "kubernetes.io/"):
		return wait(o, claim, "ProvisioningFailed", "no volume plugin matched name: "+class.Provisioner)
	}
	return askProvisioner(o, claim, class.Provisioner)
}

// match is the volume for a claim: one that names it, or the smallest free one
// that fits, unless binding is delayed.
func match(s *projections.Snapshot, claim *corev1.PersistentVolumeClaim, delayed bool) *events.Object {
	if o := s.Get(volumeKey("pvc-" + string(claim.UID))); o.Exists() { // as provisioners name what they make
		if v, ok := o.Value.(*corev1.PersistentVolume); ok && v.Spec.ClaimRef != nil && v.Spec.ClaimRef.UID == claim.UID {
			if one, err := storagehelpers.FindMatchingVolume(claim, []*corev1.PersistentVolume{v}, nil, nil, delayed, true); err == nil && one != nil {
				return o
			}
		}
	}
	var volumes []*corev1.PersistentVolume
	for o := range s.VolumesOf(claim.Namespace, claim.Name) {
		if v, ok := valueOf[*corev1.PersistentVolume](o); ok && storagehelpers.IsVolumeBoundToClaim(v, claim) {
			volumes = append(volumes, v)
		}
	}
	if !delayed {
		for o := range s.FreeVolumes(classOf(claim)) {
			if v, ok := valueOf[*corev1.PersistentVolume](o); ok && storagehelpers.CheckAccessModes(claim, v) {
				volumes = append(volumes, v)
			}
		}
	}
	found, err := storagehelpers.FindMatchingVolume(claim, volumes, nil, nil, delayed, true)
	if err != nil || found == nil {
		return nil // a selector that can't be read selects nothing
	}
	return s.Get(volumeKey(found.Name))
}

// namedVolume binds a claim to the volume that its user asked for.
func namedVolume(s *projections.Snapshot, o *events.Object, claim *corev1.PersistentVolumeClaim) []controllers.Intent {
	vo := s.Get(volumeKey(claim.Spec.VolumeName))
	v, ok := valueOf[*corev1.PersistentVolume](vo)
	switch {
	case !ok:
		return wait(o, claim, "", "")
	case v.Spec.ClaimRef == nil:
		if err := satisfies(v, claim); err != nil {
			return wait(o, claim, "VolumeMismatch", fmt.Sprintf("Cannot bind to requested volume %q: %s", v.Name, err))
		}
		return bind(vo, o, claim)
	case storagehelpers.IsVolumeBoundToClaim(v, claim):
		return bind(vo, o, claim)
	}
	return wait(o, claim, "FailedBinding", fmt.Sprintf("volume %q already bound to a different claim.", v.Name))
}

// satisfies says why a volume isn't what a claim that names it wants.
func satisfies(v *corev1.PersistentVolume, claim *corev1.PersistentVolumeClaim) error {
	want, have := claim.Spec.Resources.Requests[corev1.ResourceStorage], v.Spec.Capacity[corev1.ResourceStorage]
	switch {
	case v.DeletionTimestamp != nil:
		return fmt.Errorf("the volume is marked for deletion %q", v.Name)
	case have.Cmp(want) < 0:
		return errors.New("requested PV is too small")
	case storagehelpers.GetPersistentVolumeClass(v) != classOf(claim):
		return errors.New("storageClassName does not match")
	case ptr.Deref(v.Spec.VolumeAttributesClassName, "") != ptr.Deref(claim.Spec.VolumeAttributesClassName, ""):
		return errors.New("volumeAttributesClassName does not match")
	case storagehelpers.CheckVolumeModeMismatches(&claim.Spec, &v.Spec):
		return errors.New("incompatible volumeMode")
	case !storagehelpers.CheckAccessModes(claim, v):
		return errors.New("incompatible accessMode")
	}
	return nil
}

// askProvisioner hands a claim to who makes volumes of its class.
func askProvisioner(o *events.Object, claim *corev1.PersistentVolumeClaim, provisioner string) []controllers.Intent {
	if claim.Annotations[annProvisioner] == provisioner && claim.Annotations[annBetaProvisioner] == provisioner {
		return nil
	}
	changed := claim.DeepCopy()
	annotate(changed, annProvisioner, provisioner)
	annotate(changed, annBetaProvisioner, provisioner)
	delete(changed.Annotations, annTold)
	return []controllers.Intent{controllers.Append(events.Progressed, o, changed).Because("ExternalProvisioning",
		"Waiting for a volume to be created either by the external provisioner '%s' or manually by the system administrator. "+
			"If volume creation is delayed, please verify that the provisioner is running and correctly registered.", provisioner)}
}
