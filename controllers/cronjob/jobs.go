package cronjob

import (
	"cmp"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/controllers"
)

// follow brings status.active and the times in line with the Jobs that are there.
func (p *pass) follow() {
	there := map[types.UID]bool{}
	for _, j := range p.jobs {
		there[j.UID] = true
		end := j.finished()
		switch {
		case end != nil:
			if p.active(j.UID) {
				p.inactive(j.UID)
				p.say("SawCompletedJob", fmt.Sprintf("Saw completed job: %s, condition: %v", j.Name, end.Type))
			}
			if done := j.Status.CompletionTime; end.Type == batchv1.JobComplete && done != nil &&
				(p.next.LastSuccessfulTime == nil || done.After(p.next.LastSuccessfulTime.Time)) {
				p.next.LastSuccessfulTime = done.DeepCopy()
			}
		case j.DeletionTimestamp == nil && !p.active(j.UID):
			if at := scheduledFor(p.cron.Name, j.Job); !at.IsZero() {
				p.next.Active = append(p.next.Active, corev1.ObjectReference{
					Kind: "Job", APIVersion: "batch/v1", Namespace: j.Namespace, Name: j.Name, UID: j.UID, ResourceVersion: j.ResourceVersion})
			}
		}
		if at := scheduledFor(p.cron.Name, j.Job); !at.IsZero() && (p.next.LastScheduleTime == nil || at.After(p.next.LastScheduleTime.Time)) {
			p.next.LastScheduleTime = &metav1.Time{Time: at}
		}
	}
	for _, ref := range slices.Clone(p.next.Active) {
		if !there[ref.UID] {
			p.inactive(ref.UID)
			p.say("MissingJob", "Active job went missing: "+ref.Name)
		}
	}
}

func (p *pass) active(uid types.UID) bool {
	return slices.ContainsFunc(p.next.Active, func(r corev1.ObjectReference) bool { return r.UID == uid })
}

func (p *pass) inactive(uid types.UID) {
	p.next.Active = slices.DeleteFunc(p.next.Active, func(r corev1.ObjectReference) bool { return r.UID == uid })
	if len(p.next.Active) == 0 {
		p.next.Active = nil
	}
}

// clean deletes the oldest Jobs that have ended, down to the history limits.
func (p *pass) clean() {
	for _, history := range []struct {
		end   batchv1.JobConditionType
		limit *int32
	}{{batchv1.JobComplete, p.cron.Spec.SuccessfulJobsHistoryLimit}, {batchv1.JobFailed, p.cron.Spec.FailedJobsHistoryLimit}} {
		if history.limit == nil {
			continue
		}
		var ended []child
		for _, j := range p.jobs {
			if end := j.finished(); end != nil && end.Type == history.end && j.DeletionTimestamp == nil {
				ended = append(ended, j)
			}
		}
		slices.SortFunc(ended, older)
		for _, j := range ended[:max(0, len(ended)-int(*history.limit))] {
			p.delete(j)
		}
	}
}

// older orders Jobs by when they started; those that didn't come last.
func older(a, b child) int {
	x, y := a.Status.StartTime, b.Status.StartTime
	switch {
	case x == nil && y != nil:
		return 1
	case x != nil && y == nil:
		return -1
	case x == nil || x.Equal(y):
		return cmp.Compare(a.Name, b.Name)
	}
	return x.Compare(y.Time)
}

func (p *pass) delete(j child) {
	if refused := p.refused(controllers.VerbDelete); refused != nil {
		p.say("FailedDelete", "Deleted job: "+refused.Status.Message)
		p.failure = nil // told once
	}
	policy := metav1.DeletePropagationBackground
	i := controllers.Delete(j.object)
	i.Options.PropagationPolicy = &policy
	p.intents = append(p.intents, i.Because("SuccessfulDelete", "Deleted job %s", j.Name))
	p.inactive(j.UID)
}
