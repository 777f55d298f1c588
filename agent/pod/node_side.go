package pod

import (
	"context"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// NodeSide is what a node has to say when its pods start. Its methods are called
// from the pods' goroutines.
type NodeSide interface {
	// Admit asks whether a pod of which nothing runs yet may start, and takes what it
	// gets for itself alone (devices, CPUs). It may be called again for a pod that
	// was admitted. A refusal ends the pod.
	Admit(ctx context.Context, pod *v1.Pod) *Refusal
	// Equip gives what a container gets of the node beyond its spec. An error is
	// told, and the container tried again.
	Equip(ctx context.Context, pod *v1.Pod, c *v1.Container) (Equipment, error)
	// Release takes back what Admit and Equip gave: nothing of the pod runs any more.
	// It may be called again, and for pods that never got anything.
	Release(ctx context.Context, uid string) error
}

// Refusal says why a node doesn't take a pod.
type Refusal struct{ Reason, Message string }

// Equipment is what a container gets of its node.
type Equipment struct {
	Envs        []*cri.KeyValue
	Mounts      []*cri.Mount
	Devices     []*cri.Device
	CDI         []*cri.CDIDevice
	Annotations map[string]string
	CPUs, Mems  string // cpuset lists; "": all
}

// Eviction ends a pod for its node's sake.
type Eviction struct {
	Reason, Message string
	// Grace is how long its containers may take, in place of the pod's own period.
	Grace time.Duration
	// Disruption adds the condition DisruptionTarget.
	Disruption bool
}

// Evict ends the pod, which then has failed. A pod that ends already goes on as
// it does, and of several evictions the first counts.
func (w *Worker) Evict(e Eviction) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.eviction != nil || w.desired.DeletionTimestamp != nil || w.removed {
		return
	}
	w.eviction = &eviction{Eviction: e, at: w.host.Clock.Now()}
	if w.interrupt != nil {
		w.interrupt()
	}
	w.Wake()
}

type eviction struct {
	Eviction
	at   time.Time
	told bool
}

// evicted reports whether the pod was evicted; the first time it settles how it ends.
func (w *Worker) evicted() bool {
	w.mu.Lock()
	e := w.eviction
	w.mu.Unlock()
	if p := w.previous.Phase; e == nil || !e.told && (w.final != "" || p == v1.PodSucceeded || p == v1.PodFailed) {
		return false
	}
	if !e.told {
		e.told = true
		w.evicting = e
		w.final, w.reason, w.message = v1.PodFailed, e.Reason, e.Message
		w.note(e.Reason, e.Message)
	}
	return true
}

// graceNow is how long the pod's containers may take to stop.
func (w *Worker) graceNow() time.Duration {
	if w.evicting != nil {
		return w.evicting.Grace
	}
	return seconds64(graceOf(w.pod))
}

// disrupted adds to a status why the node ended the pod.
func (w *Worker) disrupted(s *v1.PodStatus) *v1.PodStatus {
	if e := w.evicting; e != nil && e.Disruption {
		s.Conditions = append(s.Conditions, v1.PodCondition{
			Type: v1.DisruptionTarget, Status: v1.ConditionTrue, Reason: v1.PodReasonTerminationByKubelet, Message: e.Message,
			LastTransitionTime: metav1.NewTime(e.at.Truncate(time.Second)), ObservedGeneration: w.pod.Generation,
		})
	}
	return s
}

// admitNode asks the node whether the pod may start; a refusal is noted. When ctx is
// done nothing was decided.
func (w *Worker) admitNode(ctx context.Context) bool {
	if w.host.NodeSide == nil || w.admitted || w.sandbox != nil {
		return true
	}
	if no := w.host.NodeSide.Admit(ctx, w.pod); no != nil {
		if ctx.Err() != nil {
			return false
		}
		w.final, w.reason, w.message = v1.PodFailed, no.Reason, "Pod was rejected: "+no.Message
		w.note(no.Reason, no.Message)
		return false
	}
	w.admitted = true
	return true
}

// equip adds what the node gives to a container's configuration.
func (h *Host) equip(ctx context.Context, pod *v1.Pod, c *v1.Container, config *cri.ContainerConfig) error {
	if h.NodeSide == nil {
		return nil
	}
	e, err := h.NodeSide.Equip(ctx, pod, c)
	if err != nil {
		return err
	}
	config.Envs = append(config.Envs, e.Envs...)
	config.Mounts = append(config.Mounts, e.Mounts...)
	config.Devices = append(config.Devices, e.Devices...)
	config.CDIDevices = append(config.CDIDevices, e.CDI...)
	for k, v := range e.Annotations {
		config.Annotations[k] = v
	}
	if e.CPUs != "" {
		config.Linux.Resources.CpusetCpus = e.CPUs
	}
	if e.Mems != "" {
		config.Linux.Resources.CpusetMems = e.Mems
	}
	return nil
}

func (h *Host) release(ctx context.Context, uid string) error {
	if h.NodeSide == nil {
		return nil
	}
	return h.NodeSide.Release(ctx, uid)
}

// Puller brings images, and says who may use those that are there.
type Puller interface {
	MayUse(ctx context.Context, pod *v1.Pod, image, id string) bool
	// Pull says how long it took, without waiting for other pulls.
	Pull(ctx context.Context, pod *v1.Pod, image string, sandbox *cri.PodSandboxConfig) (time.Duration, error)
}
