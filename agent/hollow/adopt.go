package hollow

import (
	"strings"

	v1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/runtime"
)

// Adopt pretends that a pod runs here already, as its status says: the same
// containers, restart counts, times and addresses. A pod that was over, or that
// hadn't begun, needs nothing. It is called before the agent runs.
func (r *Runtime) Adopt(p *v1.Pod) {
	if p.Status.Phase == v1.PodSucceeded || p.Status.Phase == v1.PodFailed || p.Status.StartTime == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	uid := string(p.UID)
	s := &sandbox{
		item: &cri.PodSandbox{Id: r.id("sandbox", uid, "", 0), Metadata: &cri.PodSandboxMetadata{Name: p.Name, Namespace: p.Namespace, Uid: uid},
			State: cri.PodSandboxState_SANDBOX_READY, CreatedAt: p.Status.StartTime.UnixNano(),
			Labels: map[string]string{runtime.LabelPodUID: uid}, Annotations: p.Annotations},
		ip: p.Status.PodIP,
	}
	for i, list := range [][]v1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for _, status := range list {
			spec := specOf(p, status.Name, i == 0)
			if spec == nil {
				continue
			}
			attempt := uint32(status.RestartCount)
			state := status.State
			if state.Waiting != nil && state.Running == nil && state.Terminated == nil { // it was waiting for its next start
				state = status.LastTerminationState
			} else if last := status.LastTerminationState; last.Terminated != nil && attempt > 0 {
				r.adopt(s, spec, attempt-1, "", last, status.ImageID)
			}
			r.adopt(s, spec, attempt, withoutScheme(status.ContainerID), state, status.ImageID)
		}
	}
	if s.ip == "" && len(s.containers) == 0 {
		return
	}
	r.sandboxes[s.item.Id], r.taken[s.ip] = s, true
	r.byUID[uid] = append(r.byUID[uid], s)
}

// adopt adds one attempt of a container in the state that was reported.
func (r *Runtime) adopt(s *sandbox, spec *v1.Container, attempt uint32, id string, state v1.ContainerState, image string) {
	c := &container{sandbox: s, uses: usesOfAdopted(s, spec)}
	meta := &cri.ContainerMetadata{Name: spec.Name, Attempt: attempt}
	c.status = &cri.ContainerStatus{Id: id, Metadata: meta, Image: &cri.ImageSpec{Image: spec.Image}, ImageRef: image}
	switch {
	case state.Running != nil:
		c.status.State = cri.ContainerState_CONTAINER_RUNNING
		c.status.StartedAt = state.Running.StartedAt.UnixNano()
	case state.Terminated != nil:
		t := state.Terminated
		c.status.State = cri.ContainerState_CONTAINER_EXITED
		c.status.Id = withoutScheme(t.ContainerID)
		c.status.StartedAt, c.status.FinishedAt = t.StartedAt.UnixNano(), t.FinishedAt.UnixNano()
		c.status.ExitCode, c.status.Reason, c.status.Message = t.ExitCode, t.Reason, t.Message
	default:
		return
	}
	if c.status.Id == "" {
		c.status.Id = r.id("container", s.item.Metadata.Uid, meta.Name, meta.Attempt)
	}
	c.status.CreatedAt = c.status.StartedAt
	c.item = &cri.Container{Id: c.status.Id, PodSandboxId: s.item.Id, Metadata: meta, Image: c.status.Image, Labels: s.item.Labels}
	s.containers = append(s.containers, c)
	r.containers[c.item.Id] = c
}

func withoutScheme(id string) string {
	if _, rest, ok := strings.Cut(id, "://"); ok {
		return rest
	}
	return id
}

func specOf(p *v1.Pod, name string, init bool) *v1.Container {
	list := p.Spec.Containers
	if init {
		list = p.Spec.InitContainers
	}
	for i := range list {
		if list[i].Name == name {
			return &list[i]
		}
	}
	return nil
}
