package cronjob

import (
	"context"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/job"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// New makes the controller.
func New() *controllers.Controller {
	c := &changes{at: map[string]time.Time{}}
	return controllers.New("cronjob-controller").
		Watches("batch", "cronjobs", c.cronJobChanged).
		Watches("batch", "jobs", jobChanged).
		Writes(events.Progressed).
		Workers(4).
		Reconcile(c.reconcile)
}

func (c *changes) reconcile(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if !o.Exists() {
		return controllers.Result{}, nil
	}
	if key.Resource == "jobs" {
		return controllers.Do(unexpected(s, o)...), nil
	}
	cronJob := o.Value.(*batchv1.CronJob)
	p := &pass{s: s, o: o, cron: cronJob, next: *cronJob.Status.DeepCopy(), now: controllers.Now(ctx), failure: controllers.Failure(ctx)}
	p.changed = c.of(string(cronJob.UID))
	for j := range s.OwnedBy("batch", "jobs", string(cronJob.UID)) {
		if ref := controllers.ControllerRef(j.Meta()); ref != nil && ref.UID == cronJob.UID {
			p.jobs = append(p.jobs, child{j, j.Value.(*batchv1.Job)})
		}
	}
	p.follow()
	p.clean()
	if cronJob.DeletionTimestamp == nil {
		p.serve()
	}
	return p.result(), nil
}

// pass is one look at a CronJob.
type pass struct {
	s       *projections.Snapshot
	o       *events.Object
	cron    *batchv1.CronJob
	now     time.Time
	changed time.Time // when the schedule was changed, zero if that isn't known
	failure error
	jobs    []child

	next    batchv1.CronJobStatus
	steps   []events.Step
	intents []controllers.Intent
	again   time.Duration
}

type child struct {
	object *events.Object
	*batchv1.Job
}

func (c child) finished() *batchv1.JobCondition { return job.Finished(c.Job) }

func (p *pass) say(reason, note string) {
	p.steps = append(p.steps, events.Step{Reason: reason, Note: note})
}

func (p *pass) result() controllers.Result {
	r := controllers.Result{Intents: p.intents, RequeueAfter: p.again}
	if len(p.steps) == 0 && apiequality.Semantic.DeepEqual(&p.cron.Status, &p.next) {
		return r
	}
	updated := *p.cron
	updated.Status = p.next
	progressed := controllers.Progressed(p.o, &updated)
	if len(p.steps) > 0 {
		progressed.Reason, progressed.Note = events.JoinSteps(p.steps)
	}
	r.Intents = append([]controllers.Intent{progressed}, p.intents...)
	return r
}
