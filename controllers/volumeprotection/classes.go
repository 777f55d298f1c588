package volumeprotection

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

const classFinalizer = "kubernetes.io/vac-protection"

// NewAttributesClasses makes the controller that protects VolumeAttributesClasses.
func NewAttributesClasses() *controllers.Controller {
	return controllers.New("volumeattributesclass-protection-controller").
		For(controllers.VolumeAttributesClass.Group, controllers.VolumeAttributesClass.Resource).
		Watches("", "persistentvolumeclaims", classUserChanged).
		Watches("", "persistentvolumes", classUserChanged).
		Reconcile(func(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
			o := s.Get(key)
			if !o.Exists() {
				return controllers.Result{}, nil
			}
			return controllers.Do(protect(o, classFinalizer, func() bool { return classUsed(s, key.Name) })...), nil
		})
}

// classUserChanged maps a claim or volume to the classes that it used and that wait
// for that to end.
func classUserChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	for _, name := range classesOf(c.Old) {
		key := controllers.VolumeAttributesClass.Key("", name)
		if o := s.Get(key); o.Exists() && o.Meta().GetDeletionTimestamp() != nil {
			add(key)
		}
	}
}

// classesOf are the classes that a claim asks for, has or is being given, or that a
// volume has.
func classesOf(o *events.Object) []string {
	if !o.Exists() {
		return nil
	}
	var out []string
	take := func(name *string) {
		if name != nil && *name != "" {
			out = append(out, *name)
		}
	}
	switch v := o.Value.(type) {
	case *corev1.PersistentVolumeClaim:
		take(v.Spec.VolumeAttributesClassName)
		take(v.Status.CurrentVolumeAttributesClassName)
		if m := v.Status.ModifyVolumeStatus; m != nil {
			take(&m.TargetVolumeAttributesClassName)
		}
	case *corev1.PersistentVolume:
		take(v.Spec.VolumeAttributesClassName)
	}
	return out
}

func classUsed(s *projections.Snapshot, name string) bool {
	for _, resource := range []string{"persistentvolumes", "persistentvolumeclaims"} {
		for o := range s.List("", resource, "") {
			for _, used := range classesOf(o) {
				if used == name {
					return true
				}
			}
		}
	}
	return false
}
