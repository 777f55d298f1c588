package job

import (
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// elsewhere: spec.managedBy gives the Job to another controller.
func elsewhere(job *batchv1.Job) bool {
	return job.Spec.ManagedBy != nil && *job.Spec.ManagedBy != batchv1.JobControllerName
}

// untrack takes the finalizer from a pod, and leaves others as they are.
func untrack(o *events.Object) controllers.Intent { return untrackPatch(o, "") }

// untrackUnchanged is untrack of a pod that runs: if it has ended meanwhile, it is
// to be counted.
func untrackUnchanged(o *events.Object) controllers.Intent {
	return untrackPatch(o, `"resourceVersion":"`+o.Meta().GetResourceVersion()+`",`)
}

func untrackPatch(o *events.Object, precondition string) controllers.Intent {
	i := controllers.MergePatch(o, []byte(`{"metadata":{`+precondition+`"$deleteFromPrimitiveList/finalizers":["`+batchv1.JobTrackingFinalizer+`"]}}`))
	i.ContentType = string(types.StrategicMergePatchType)
	return i
}

// letGo takes the finalizer from the pods that a finished Job still has.
func letGo(s *projections.Snapshot, job *batchv1.Job) []controllers.Intent {
	var intents []controllers.Intent
	for o := range s.OwnedBy("", "pods", string(job.UID)) {
		if ref := controllers.ControllerRef(o.Meta()); ref != nil && ref.UID == job.UID && tracked(o.Meta()) {
			intents = append(intents, untrack(o))
		}
	}
	return intents
}

// settle is about a pod by itself: nobody's, or of a Job that is gone or finished.
func settle(s *projections.Snapshot, o *events.Object) []controllers.Intent {
	m := o.Meta()
	if controllers.ControllerRef(m) != nil {
		key, uid, ok := kind.ControllerOf(o)
		if !ok {
			return nil // another kind's: the finalizer is that one's business
		}
		if job, exists := projections.Get[*batchv1.Job](s, key); exists && string(job.UID) == uid && (elsewhere(job) || Finished(job) == nil) {
			return nil
		}
	} else if owner := adopter(s, o); owner != nil {
		return []controllers.Intent{adopt(owner, o)}
	}
	if !tracked(m) {
		return nil
	}
	return []controllers.Intent{untrack(o)}
}

// claim lets those pods go that the Job's selector doesn't match any more, and
// adopts those of nobody that it does.
func claim(s *projections.Snapshot, o *events.Object, job *batchv1.Job, selector labels.Selector, strangers []*events.Object) []controllers.Intent {
	if job.DeletionTimestamp != nil {
		return nil
	}
	var intents []controllers.Intent
	for _, p := range strangers {
		intents = append(intents, disown(o, p))
	}
	if job.Spec.ManualSelector != nil && *job.Spec.ManualSelector {
		for _, p := range kind.Orphans(s, o, controllers.Pod, selector) {
			intents = append(intents, adopt(o, p))
		}
	}
	return intents
}

// adopter is the Job that wants a pod of nobody, nil if none does.
func adopter(s *projections.Snapshot, o *events.Object) *events.Object {
	m := o.Meta()
	if m.GetDeletionTimestamp() != nil {
		return nil
	}
	wants := func(j *events.Object) bool {
		job, ok := j.Value.(*batchv1.Job)
		if !ok || job.Namespace != m.GetNamespace() || job.DeletionTimestamp != nil || elsewhere(job) || Finished(job) != nil {
			return false
		}
		selector, err := controllers.Compile(job.Spec.Selector)
		return err == nil && !selector.Empty() && selector.Matches(labels.Set(m.GetLabels()))
	}
	if uid := m.GetLabels()[batchv1.ControllerUidLabel]; uid != "" {
		if j := s.ByUID(uid); j.Exists() && wants(j) {
			return j
		}
	}
	for j := range s.List("batch", "jobs", m.GetNamespace()) {
		if job, ok := j.Value.(*batchv1.Job); ok && job.Spec.ManualSelector != nil && *job.Spec.ManualSelector && wants(j) {
			return j
		}
	}
	return nil
}

func adopt(owner, o *events.Object) controllers.Intent {
	value := o.Value.DeepCopyObject()
	m := value.(metav1.Object)
	m.SetOwnerReferences(append(m.GetOwnerReferences(), kind.Ref(owner.Meta())))
	if !tracked(m) {
		m.SetFinalizers(append(m.GetFinalizers(), batchv1.JobTrackingFinalizer))
	}
	return controllers.Patch(o, value)
}

// disown takes away the owner reference and the finalizer with it.
func disown(owner, o *events.Object) controllers.Intent {
	value := o.Value.DeepCopyObject()
	m := value.(metav1.Object)
	m.SetOwnerReferences(slices.DeleteFunc(m.GetOwnerReferences(), func(r metav1.OwnerReference) bool { return r.UID == owner.Meta().GetUID() }))
	m.SetFinalizers(slices.DeleteFunc(m.GetFinalizers(), func(f string) bool { return f == batchv1.JobTrackingFinalizer }))
	return controllers.Patch(o, value)
}
