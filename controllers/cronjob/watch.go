package cronjob

import (
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/job"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// changes remembers when schedules were changed: the times of the new one that
// lie before are not made up for.
type changes struct {
	mu sync.Mutex
	at map[string]time.Time // by the CronJob's uid
}

func (c *changes) of(uid string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at[uid]
}

// cronJobChanged maps a CronJob to itself, unless it is this controller that
// wrote its status: nothing follows from that.
func (c *changes) cronJobChanged(_ *projections.Snapshot, change projections.Change, add func(events.Key)) {
	if change.Event != nil && change.Event.Type == events.Progressed && change.Old != nil && change.New != nil {
		return
	}
	if change.Old != nil {
		c.note(change)
	}
	add(controllers.KeyOf(change))
}

func (c *changes) note(change projections.Change) {
	old, ok := change.Old.Value.(*batchv1.CronJob)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if change.New == nil {
		delete(c.at, string(old.UID))
		return
	}
	if n, ok := change.New.Value.(*batchv1.CronJob); ok && change.Event != nil && zoned(old) != zoned(n) {
		c.at[string(n.UID)] = change.Event.Time
	}
}

// jobChanged maps a Job to its CronJob when it comes, ends or goes, and one that
// the CronJob didn't make to itself as well.
func jobChanged(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.Old != nil && c.New != nil && c.Event != nil && same(c) {
		return
	}
	controllers.CronJob.OfChild(nil, c, add)
	if c.Event != nil && c.Event.Type == events.Created && c.New != nil {
		if key, _, ok := controllers.CronJob.ControllerOf(c.New); ok {
			if j, isJob := c.New.Value.(*batchv1.Job); isJob && scheduledFor(key.Name, j).IsZero() {
				add(c.New.Key)
			}
		}
	}
}

func same(c projections.Change) bool {
	o, ok1 := c.Old.Value.(*batchv1.Job)
	n, ok2 := c.New.Value.(*batchv1.Job)
	return ok1 && ok2 && (job.Finished(o) == nil) == (job.Finished(n) == nil) && (o.DeletionTimestamp == nil) == (n.DeletionTimestamp == nil) &&
		len(o.OwnerReferences) == len(n.OwnerReferences)
}

// unexpected tells of a Job that has a CronJob as controller but wasn't made by
// it: kubectl create job --from does that.
func unexpected(s *projections.Snapshot, o *events.Object) []controllers.Intent {
	key, uid, ok := controllers.CronJob.ControllerOf(o)
	owner := s.Get(key)
	if j, isJob := o.Value.(*batchv1.Job); !ok || !owner.Exists() || string(owner.Meta().GetUID()) != uid || !isJob || job.Finished(j) != nil {
		return nil
	}
	i := controllers.Progressed(owner, owner.Value)
	return []controllers.Intent{i.Because("UnexpectedJob", "Saw a job that the controller did not create or forgot: %s", o.Key.Name)}
}

// nameFor is the name of the Job for a time.
func nameFor(cronJob string, at time.Time) string { return fmt.Sprintf("%s-%d", cronJob, at.Unix()/60) }

// scheduledFor is the time that the CronJob of a name made a Job for, zero if
// it didn't make it.
func scheduledFor(cronJob string, j *batchv1.Job) time.Time {
	at, err := time.Parse(time.RFC3339, j.Annotations[batchv1.CronJobScheduledTimestampAnnotation])
	if err != nil || j.Name != nameFor(cronJob, at) {
		return time.Time{}
	}
	return at
}
