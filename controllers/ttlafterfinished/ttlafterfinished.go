package ttlafterfinished

import (
	"context"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/job"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// New makes the controller.
func New() *controllers.Controller {
	return controllers.New("ttl-after-finished-controller").
		Watches("batch", "jobs", func(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
			if c.New == nil {
				return
			}
			if j, ok := c.New.Value.(*batchv1.Job); ok && mortal(j) {
				add(c.New.Key)
			}
		}).
		Workers(4).
		Reconcile(reconcile)
}

// mortal: the Job has ended and is to be deleted some time.
func mortal(j *batchv1.Job) bool {
	return j.Spec.TTLSecondsAfterFinished != nil && j.DeletionTimestamp == nil && job.Finished(j) != nil
}

func reconcile(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if !o.Exists() {
		return controllers.Result{}, nil
	}
	j := o.Value.(*batchv1.Job)
	if !mortal(j) {
		return controllers.Result{}, nil
	}
	ttl := time.Duration(*j.Spec.TTLSecondsAfterFinished) * time.Second
	if left := job.Finished(j).LastTransitionTime.Add(ttl).Sub(controllers.Now(ctx)); left > 0 {
		return controllers.Result{RequeueAfter: left}, nil
	}
	policy, version := metav1.DeletePropagationForeground, j.ResourceVersion
	i := controllers.Delete(o)
	i.Options.PropagationPolicy, i.Options.Preconditions.ResourceVersion = &policy, &version
	return controllers.Do(i), nil
}
