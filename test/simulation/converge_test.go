package simulation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/projections"
)

// unsettled says what isn't yet as it must be in the end, "" if everything is.
func (w *world) unsettled() string {
	for _, p := range w.processes {
		if p.down {
			return p.name + " is down"
		}
	}
	s := w.checker.projection.Snapshot()
	for d := range projections.List[*appsv1.Deployment](s, "apps", "deployments", "") {
		want, st := *d.Spec.Replicas, d.Status
		if st.ObservedGeneration != d.Generation || st.Replicas != want || st.UpdatedReplicas != want || st.AvailableReplicas != want || st.UnavailableReplicas != 0 {
			return fmt.Sprintf("deployment %s of %d replicas, generation %d, has status %+v", d.Name, want, d.Generation, st)
		}
		if n := pods(s, d.Name); n != want {
			return fmt.Sprintf("deployment %s of %d replicas has %d pods", d.Name, want, n)
		}
	}
	for n := range projections.List[*corev1.Node](s, "", "nodes", "") {
		if len(n.Spec.Taints) > 0 {
			return fmt.Sprintf("node %s has taints %v", n.Name, n.Spec.Taints)
		}
	}
	for p := range projections.List[*corev1.Pod](s, "", "pods", "") {
		if p.DeletionTimestamp != nil {
			return "pod " + p.Name + " is being deleted"
		}
		if p.Spec.NodeName == "" {
			return "pod " + p.Name + " is not bound"
		}
	}
	if why := w.setsUnsettled(s); why != "" {
		return why
	}
	return w.machinesUnsettled(s)
}

// pods counts those of an app; what a node refused is replaced, and stays to be seen.
func pods(s *projections.Snapshot, app string) (n int32) {
	for p := range projections.List[*corev1.Pod](s, "", "pods", "") {
		if p.Labels["app"] == app && !strings.HasPrefix(p.Status.Reason, "OutOf") {
			n++
		}
	}
	return n
}

// machinesUnsettled compares what runs with what the log says.
func (w *world) machinesUnsettled(s *projections.Snapshot) string {
	for _, n := range w.nodes {
		have, err := running(n)
		if err != nil {
			return err.Error()
		}
		var want []string
		for o := range s.PodsOn(n.name) {
			pod := o.Value.(*corev1.Pod)
			switch pod.Status.Phase {
			case corev1.PodRunning:
				want = append(want, string(pod.UID))
			case corev1.PodPending:
				return "pod " + pod.Name + " is pending"
			}
		}
		slices.Sort(have)
		slices.Sort(want)
		if !slices.Equal(have, want) {
			return fmt.Sprintf("%s runs %v, and the log says %v", n.name, have, want)
		}
	}
	return ""
}

// final checks what must hold in the end.
func (c *checker) final() {
	w := c.world
	first, last, err := w.memory.Log().Range(background)
	if err != nil || first != 1 || last != c.seen {
		w.fail(fmt.Errorf("the log is from %d to %d (%v), the checker saw %d", first, last, err, c.seen))
		return
	}
	want := c.encode(c.projection.Snapshot())
	for _, r := range append([]*replica{w.server}, w.replicas...) {
		if s := r.projection.Load().Snapshot(); s.Position() != last || !bytes.Equal(c.encode(s), want) {
			w.fail(fmt.Errorf("%s has another state in the end (at %d of %d)", r.name, s.Position(), last))
		}
	}
	for _, restore := range []bool{false, true} {
		if err := c.again(restore, want); err != nil {
			w.fail(err)
		}
	}
	whole := history{}
	for e, err := range w.memory.Log().Read(background, 1) {
		if err != nil {
			w.fail(err)
			return
		}
		whole[e.Sequence] = e
		if id, ok := w.acked[e.Sequence]; ok && id != e.ID {
			w.fail(fmt.Errorf("event %d was acknowledged as %s and is %s", e.Sequence, id, e.ID))
		}
		delete(w.acked, e.Sequence)
	}
	if why := whole.untraced(); why != "" {
		w.fail(errors.New(why))
	}
	for seq := range w.acked {
		w.fail(fmt.Errorf("acknowledged event %d is lost", seq))
	}
	for _, u := range w.users {
		for _, a := range u.acked {
			if a.version > last || c.void[a.version] {
				w.fail(fmt.Errorf("%s was answered with version %d, which had no effect", a.what, a.version))
			}
		}
	}
}

// again folds the log anew, from zero or from the newest checkpoint.
func (c *checker) again(restore bool, want []byte) error {
	ctx, cancel := context.WithCancel(background)
	p := projections.New(c.world.memory.Log(), projections.Logger(c.world.logger))
	if restore {
		if err := p.Restore(ctx, c.world.memory.Blobs()); err != nil {
			cancel()
			return err
		}
		if p.Snapshot().Position() == 0 {
			cancel()
			return fmt.Errorf("there is no checkpoint after %d events", c.seen)
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.Run(ctx) //nolint:errcheck // it ends with ctx
	}()
	err := p.WaitFor(ctx, c.seen)
	if err == nil && !bytes.Equal(c.encode(p.Snapshot()), want) {
		err = fmt.Errorf("folding anew (from a checkpoint: %t) gives another state", restore)
	}
	cancel()
	<-ended
	return err
}
