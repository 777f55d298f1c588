package job

import (
	"context"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// burst bounds the pods created, deleted or named in the status by one pass.
const burst = 500

// quietPerPod is how long a pass keeps the next one off, per pod counted, up to
// longestQuiet: the pods of a big Job are counted many at a time.
const (
	quietPerPod  = time.Millisecond
	longestQuiet = time.Second
)

var kind = controllers.Selecting{Kind: controllers.Job, Selector: func(o *events.Object) *metav1.LabelSelector {
	job, ok := o.Value.(*batchv1.Job)
	if !ok {
		return nil
	}
	return job.Spec.Selector
}}

// New makes the controller.
func New() *controllers.Controller {
	return controllers.New("job-controller").
		Watches("batch", "jobs", jobChanged).
		Watches("", "pods", podChanged).
		Writes(events.Progressed).
		Workers(64). // they mostly wait until what they wrote is folded
		Reconcile(reconcile)
}

func reconcile(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if !o.Exists() {
		return controllers.Result{}, nil
	}
	if key.Resource == "pods" {
		return controllers.Do(settle(s, o)...), nil
	}
	job := o.Value.(*batchv1.Job)
	selector, err := controllers.Compile(job.Spec.Selector)
	if err != nil || selector.Empty() || elsewhere(job) {
		return controllers.Result{}, err
	}
	if Finished(job) != nil {
		return controllers.Do(letGo(s, job)...), nil
	}
	objects, strangers := kind.Children(s, o, controllers.Pod, selector)
	if claims := claim(s, o, job, selector, strangers); len(claims) > 0 {
		return controllers.Do(claims...), nil // count when it is settled who belongs here
	}
	p := newPass(s, o, job, podsOf(job, objects), controllers.Now(ctx))
	p.failure = controllers.Failure(ctx)
	p.count()
	p.decide()
	p.release()
	if p.end != nil {
		p.wind()
	} else {
		p.manage()
	}
	return p.result(), nil
}
