package cronjob

import (
	"errors"
	"fmt"
	"maps"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
)

// serve makes the Job of the last time that has come, unless something is
// against it, and asks to be called for the next.
func (p *pass) serve() {
	if zone := p.cron.Spec.TimeZone; zone != nil {
		if _, err := time.LoadLocation(*zone); err != nil {
			p.say("UnknownTimeZone", fmt.Sprintf("invalid timeZone: %q: %s", *zone, err))
			return
		}
	}
	if p.cron.Spec.Suspend != nil && *p.cron.Spec.Suspend {
		return
	}
	schedule, err := parse(p.cron)
	if err != nil {
		p.say("UnparseableSchedule", fmt.Sprintf("unparseable schedule: %q : %s", p.cron.Spec.Schedule, err))
		return
	}
	since := since(p.cron, p.changed)
	if t := p.next.LastScheduleTime; t != nil && t.After(since) {
		since = t.Time
	}
	d, err := dueSince(schedule, since, p.now)
	if err != nil {
		p.say("InvalidSchedule", fmt.Sprintf("invalid schedule: %s : %s", p.cron.Spec.Schedule, err))
		return
	}
	p.again = untilNext(schedule, since, p.now)
	if d.at.IsZero() {
		return
	}
	if limit := p.cron.Spec.StartingDeadlineSeconds; limit != nil {
		if d.at.Add(time.Duration(*limit) * time.Second).Before(p.now) {
			p.say("MissSchedule", "Missed scheduled time to start a job: "+d.at.UTC().Format(time.RFC1123Z))
			return
		}
		// What is too old to be served isn't missed.
		if earliest := p.now.Add(-time.Duration(*limit) * time.Second); earliest.After(since) {
			d, err = dueSince(schedule, earliest, p.now)
			if err != nil || d.at.IsZero() {
				return
			}
		}
	}
	if d.missed > tooMany {
		p.say("TooManyMissedTimes", "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew")
	}
	p.start(d.at)
}

// start makes the Job for a time.
func (p *pass) start(at time.Time) {
	name := nameFor(p.cron.Name, at)
	if p.s.Get(controllers.Job.Key(p.cron.Namespace, name)).Exists() {
		return // somebody else's, or its own that follow has seen
	}
	if p.cron.Spec.ConcurrencyPolicy == batchv1.ForbidConcurrent && len(p.next.Active) > 0 {
		p.say("JobAlreadyActive", "Not starting job because prior execution is running and concurrency policy is Forbid")
		return
	}
	if p.cron.Spec.ConcurrencyPolicy == batchv1.ReplaceConcurrent {
		for _, j := range p.jobs {
			if p.active(j.UID) {
				p.delete(j)
			}
		}
	}
	if refused := p.refused(controllers.VerbCreate); refused != nil && !refused.HasCause(corev1.NamespaceTerminatingCause) {
		p.say("FailedCreate", "Error creating job: "+refused.Status.Message)
	}
	if ownZone(p.cron) {
		p.say("UnsupportedSchedule", fmt.Sprintf("CRON_TZ or TZ used in schedule %q is not officially supported, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details", p.cron.Spec.Schedule))
	}
	p.intents = append(p.intents, controllers.Create(controllers.Job, p.newJob(name, at)).Because("SuccessfulCreate", "Created job %s", name))
}

// refused is the API's refusal of such an intent of the last pass, nil if there was none.
func (p *pass) refused(verb controllers.Verb) *controllers.APIError {
	var refused *controllers.APIError
	if errors.As(p.failure, &refused) && refused.Verb == verb {
		return refused
	}
	return nil
}

func (p *pass) newJob(name string, at time.Time) *batchv1.Job {
	t := &p.cron.Spec.JobTemplate
	annotations := maps.Clone(t.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	zone := time.UTC
	if p.cron.Spec.TimeZone != nil {
		zone, _ = time.LoadLocation(*p.cron.Spec.TimeZone) // serve has looked
	}
	annotations[batchv1.CronJobScheduledTimestampAnnotation] = at.In(zone).Format(time.RFC3339)
	return &batchv1.Job{
		TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.cron.Namespace, Name: name, Labels: maps.Clone(t.Labels), Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{controllers.CronJob.Ref(p.cron)},
		},
		Spec: *t.Spec.DeepCopy(),
	}
}
