package pod

import (
	"context"
	"fmt"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// The reasons a container waits for, as Kubernetes names them.
const (
	reasonCreating       = "ContainerCreating"
	reasonInitializing   = "PodInitializing"
	reasonErrPull        = "ErrImagePull"
	reasonPullBackOff    = "ImagePullBackOff"
	reasonNeverPull      = "ErrImageNeverPull"
	reasonInvalidName    = "InvalidImageName"
	reasonConfigError    = "CreateContainerConfigError"
	reasonCreateError    = "CreateContainerError"
	reasonRunError       = "RunContainerError"
	reasonCrashLoop      = "CrashLoopBackOff"
	reasonPostStart      = "PostStartHookError"
	reasonSandboxChanged = "SandboxChanged"
)

// waitError says why a container can't start yet.
type waitError struct {
	reason, message string
	retry           time.Duration // when to try again; 0: when something changes, or after a while
	event           string        // the event's reason; "" reports none
}

func (e *waitError) Error() string { return e.reason + ": " + e.message }

// ensureImage makes a container's image present, as its pull policy says.
func (w *Worker) ensureImage(ctx context.Context, pod *v1.Pod, c *v1.Container, sandbox *cri.PodSandboxConfig) (*cri.Image, *waitError) {
	if strings.TrimSpace(c.Image) == "" || strings.ContainsAny(c.Image, " \t\n") {
		return nil, &waitError{reason: reasonInvalidName, message: fmt.Sprintf("Failed to apply default image tag %q: couldn't parse image name", c.Image), event: "InspectFailed"}
	}
	image, err := w.host.Runtime.ImageStatus(ctx, c.Image)
	if err != nil {
		return nil, &waitError{reason: "ImageInspectError", message: fmt.Sprintf("Failed to inspect image %q: %v", c.Image, err), event: "InspectFailed", retry: firstDelay}
	}
	if image != nil && c.ImagePullPolicy != v1.PullAlways && (w.host.Puller == nil || w.host.Puller.MayUse(ctx, pod, c.Image, image.Id)) {
		w.note("Pulled", fmt.Sprintf("Container image %q already present on machine and can be accessed by the pod", c.Image))
		return image, nil
	}
	if c.ImagePullPolicy == v1.PullNever {
		return nil, &waitError{reason: reasonNeverPull, message: fmt.Sprintf("Container image %q is not present with pull policy of Never", c.Image), event: reasonNeverPull, retry: firstDelay}
	}
	b := w.pullBackoff(c.Image)
	now := w.host.Clock.Now()
	if wait := b.until.Sub(now); wait > 0 {
		return nil, &waitError{reason: reasonPullBackOff, message: fmt.Sprintf("Back-off pulling image %q: %s", c.Image, b.message), event: "BackOff", retry: wait}
	}
	w.noteSecrets(pod)
	w.note("Pulling", fmt.Sprintf("Pulling image %q", c.Image))
	w.report() // if this lasts
	took, err := w.pull(ctx, pod, c.Image, sandbox)
	if err != nil {
		if ctx.Err() == nil {
			w.note("Failed", fmt.Sprintf("Failed to pull image %q: %v", c.Image, err))
			w.note("Failed", "Error: "+reasonErrPull)
		}
		b.delay = min(max(2*b.delay, firstDelay), longestDelay)
		b.until = w.host.Clock.Now().Add(b.delay)
		b.message = fmt.Sprintf("%s: %v", reasonErrPull, err)
		return nil, &waitError{reason: reasonErrPull, message: err.Error(), retry: retryAfter}
	}
	delete(w.pulls, c.Image)
	if image, err = w.host.Runtime.ImageStatus(ctx, c.Image); err != nil || image == nil {
		return nil, &waitError{reason: reasonErrPull, message: fmt.Sprintf("image %q was pulled and is not there: %v", c.Image, err), event: "Failed", retry: firstDelay}
	}
	w.note("Pulled", fmt.Sprintf("Successfully pulled image %q in %s (%s including waiting). Image size: %d bytes.",
		c.Image, took.Truncate(time.Millisecond), w.host.Clock.Since(now).Truncate(time.Millisecond), image.Size))
	return image, nil
}

// noteSecrets tells of pull secrets that a pod names and that aren't there.
func (w *Worker) noteSecrets(pod *v1.Pod) {
	var missing []string
	for _, ref := range pod.Spec.ImagePullSecrets {
		if _, ok := w.host.Objects.Secret(pod.Namespace, ref.Name); !ok {
			missing = append(missing, ref.Name)
		}
	}
	if len(missing) > 0 {
		w.note("FailedToRetrieveImagePullSecret", fmt.Sprintf("Unable to retrieve some image pull secrets (%s); attempting to pull the image may not succeed.", strings.Join(missing, ", ")))
	}
}

type pullBackoff struct {
	delay   time.Duration
	until   time.Time
	message string
}

func (w *Worker) pullBackoff(image string) *pullBackoff {
	b, ok := w.pulls[image]
	if !ok {
		b = &pullBackoff{}
		w.pulls[image] = b
	}
	return b
}

func (w *Worker) pull(ctx context.Context, pod *v1.Pod, image string, sandbox *cri.PodSandboxConfig) (time.Duration, error) {
	if w.host.Puller != nil {
		return w.host.Puller.Pull(ctx, pod, image, sandbox)
	}
	begin := w.host.Clock.Now()
	err := w.host.Runtime.PullImage(ctx, image, nil, sandbox)
	return w.host.Clock.Since(begin), err
}
