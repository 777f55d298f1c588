package history

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/events"
)

// changesShown is how many changes of an object an answer explains.
const changesShown = 5

// explain picks the steps that answer why an object is as it is, and says in
// sentences how it is.
func explain(l *Life) (facts []*Step, now []string) {
	steps := newest(l)
	last := steps[len(steps)-1]
	if pod := podOf(last); pod != nil {
		facts, now = explainPod(steps)
	} else {
		facts, now = explainChanges(steps)
	}
	if end := ending(steps); end != "" {
		now = append([]string{end}, now...)
	}
	slices.SortStableFunc(facts, func(a, b *Step) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return facts, now
}

// newest are the steps of the newest incarnation of a name; those without
// effect are left out unless there are no others.
func newest(l *Life) []*Step {
	var effective, all []*Step
	for i := range l.Steps {
		s := &l.Steps[i]
		all = append(all, s)
		if s.Void == "" {
			effective = append(effective, s)
		}
	}
	if len(effective) == 0 {
		return all
	}
	uid := effective[len(effective)-1].UID
	for len(effective) > 1 && effective[0].UID != uid {
		effective = effective[1:]
	}
	return effective
}

// podOf is the pod of a step, as it was before if it is gone.
func podOf(s *Step) *corev1.Pod {
	for _, o := range []any{valueOf(s, true), valueOf(s, false)} {
		if pod, ok := o.(*corev1.Pod); ok {
			return pod
		}
	}
	return nil
}

func valueOf(s *Step, after bool) any {
	o := s.after
	if !after {
		o = s.before
	}
	if !o.Exists() {
		return nil
	}
	return o.Value
}

// ending says who ended an object that is gone or going.
func ending(steps []*Step) string {
	last := steps[len(steps)-1]
	if !last.after.Exists() && last.before.Exists() {
		by := last
		for _, s := range steps {
			if s.Type == events.Deleting {
				by = s
				break
			}
		}
		if by == last {
			return fmt.Sprintf("it was deleted by %s at %s", by.By, clock(last.Time))
		}
		return fmt.Sprintf("it was deleted by %s at %s and gone at %s", by.By, clock(by.Time), clock(last.Time))
	}
	if last.after.Exists() && isDeleting(last.after.Meta()) {
		text := "it is being deleted"
		for _, s := range steps {
			if s.Type == events.Deleting {
				text += " by " + s.By + " since " + clock(s.Time)
				break
			}
		}
		if until := last.after.Meta().GetDeletionTimestamp().Time; until.After(last.Time) {
			text += ", and has until " + clock(until)
		}
		if f := last.after.Meta().GetFinalizers(); len(f) > 0 {
			text += ", and waits for " + strings.Join(f, ", ")
		}
		return text
	}
	return ""
}

// explainChanges explains an object by its creation, what was changed of it
// other than status, what it lacks, and its end.
func explainChanges(steps []*Step) ([]*Step, []string) {
	var facts, changes []*Step
	for _, s := range steps {
		switch {
		case !s.before.Exists():
			facts = append(facts, s)
		case !s.after.Exists(), s.Type == events.Deleting:
			facts = append(facts, s)
		case intends(s):
			changes = append(changes, s)
		}
	}
	var now []string
	if more := len(changes) - changesShown; more > 0 {
		changes = changes[more:]
		now = append(now, fmt.Sprintf("%d earlier %s not shown here (see reckon history)", more, plural(more, "change")))
	}
	facts = append(facts, changes...)
	last := steps[len(steps)-1]
	bad, sentences := lacks(steps)
	for _, s := range bad {
		if !slices.Contains(facts, s) {
			facts = append(facts, s)
		}
	}
	if len(facts) == 0 {
		facts = append(facts, last)
	}
	return facts, slices.Concat(workload(last), sentences, now)
}

// intends reports whether a step changed what is wanted, not what is.
func intends(s *Step) bool {
	for _, f := range s.Fields {
		if !f.Noise && rank(f.Path) < rank("status.phase") && !strings.HasPrefix(f.Path, "metadata.annotations[deployment.kubernetes.io/") {
			return true
		}
	}
	return false
}

// lacks finds the conditions that say that something is wrong, and the steps
// that said so.
func lacks(steps []*Step) (facts []*Step, sentences []string) {
	last := steps[len(steps)-1]
	if !last.after.Exists() {
		return nil, nil
	}
	t, err := tree(last.after.Value)
	if err != nil {
		return nil, nil // it was encoded before: newStep would have failed
	}
	conditions, _ := lookup(t, []part{{name: "status"}, {name: "conditions"}}).([]any)
	for _, name := range badConditions(conditions) {
		is, _ := entry(conditions, name).(map[string]any)
		sentences = append(sentences, conditionSentence(name, is))
		for i := len(steps) - 1; i >= 0; i-- {
			if setsCondition(steps[i], name) {
				facts = append(facts, steps[i])
				break
			}
		}
	}
	return facts, sentences
}

func setsCondition(s *Step, name string) bool {
	at := "status.conditions[" + name + "]"
	return slices.ContainsFunc(s.Fields, func(f Field) bool { return f.Path == at || f.Path == at+".reason" })
}

func conditionSentence(name string, c map[string]any) string {
	text := fmt.Sprintf("%s is %v", name, c["status"])
	if r, ok := c["reason"].(string); ok && r != "" {
		text += " (" + r + ")"
	}
	if m, ok := c["message"].(string); ok && m != "" {
		text += ": " + m
	}
	return text
}

// trouble: conditions that are well when they are false.
func trouble(name string) bool {
	for _, word := range []string{"Pressure", "Fail", "Unavailable", "Unschedulable", "Degraded", "Stalled", "Terminating", "Conflict", "DisruptionTarget", "Suspended", "Violation", "Remaining", "Resizing"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// badConditions are the types of the conditions that aren't as one likes them.
func badConditions(conditions []any) []string {
	var out []string
	for _, c := range conditions {
		m, _ := c.(map[string]any)
		name, _ := m["type"].(string)
		well := "True"
		if trouble(name) {
			well = "False"
		}
		if name != "" && m["status"] != well {
			out = append(out, name)
		}
	}
	return out
}

func workload(s *Step) []string {
	switch o := valueOf(s, true).(type) {
	case *appsv1.Deployment:
		return []string{ready(o.Status.ReadyReplicas, o.Spec.Replicas) + ", " + images(&o.Spec.Template.Spec)}
	case *appsv1.ReplicaSet:
		return []string{ready(o.Status.ReadyReplicas, o.Spec.Replicas) + ", " + images(&o.Spec.Template.Spec)}
	case *appsv1.StatefulSet:
		return []string{ready(o.Status.ReadyReplicas, o.Spec.Replicas) + ", " + images(&o.Spec.Template.Spec)}
	case *appsv1.DaemonSet:
		return []string{ready(o.Status.NumberReady, &o.Status.DesiredNumberScheduled) + ", " + images(&o.Spec.Template.Spec)}
	}
	return nil
}

func ready(n int32, of *int32) string {
	want := int32(1)
	if of != nil {
		want = *of
	}
	return fmt.Sprintf("%d of %d %s ready", n, want, plural(int(want), "replica"))
}
