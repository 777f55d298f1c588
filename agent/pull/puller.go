package pull

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/clock"
)

// Images is what pulls.
type Images interface {
	ImageStatus(ctx context.Context, ref string) (*cri.Image, error)
	PullImage(ctx context.Context, ref string, auth *cri.AuthConfig, s *cri.PodSandboxConfig) error
}

// Secrets gives the cluster's secrets that pods of this node use.
type Secrets interface {
	Secret(namespace, name string) (*v1.Secret, bool)
}

// Providers give credentials for all that a pod's own secrets don't open.
type Providers interface {
	Credentials(ctx context.Context, pod *v1.Pod, image string) ([]Credential, error)
}

// Puller pulls a node's images.
type Puller struct {
	images    Images
	secrets   Secrets
	providers Providers // nil: none
	records   *Records
	clock     clock.PassiveClock
	slots     chan struct{}

	mu      sync.Mutex
	flights map[flight]*pulling
}

// flight is one pull that several may wait for.
type flight struct{ image, credential string }

type pulling struct {
	done chan struct{}
	took time.Duration
	err  error
}

// New makes a puller that pulls so many images at once as atOnce says.
func New(images Images, secrets Secrets, providers Providers, records *Records, atOnce int, c clock.PassiveClock) *Puller {
	return &Puller{images: images, secrets: secrets, providers: providers, records: records, clock: c,
		slots: make(chan struct{}, max(atOnce, 1)), flights: map[flight]*pulling{}}
}

// MayUse reports whether a pod may use an image that is there.
func (p *Puller) MayUse(ctx context.Context, pod *v1.Pod, image, id string) bool {
	return p.records.mayUse(image, id, func() []Credential {
		found, err := p.credentials(ctx, pod, image)
		if err != nil {
			return Keyring(p.ofPod(pod), image)
		}
		return found
	})
}

// Pull pulls an image for a pod with the first of its credentials that is let in,
// and says how long that took, without the waiting for others.
func (p *Puller) Pull(ctx context.Context, pod *v1.Pod, image string, s *cri.PodSandboxConfig) (took time.Duration, err error) {
	credentials, err := p.credentials(ctx, pod, image)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.records.end(image, ctx.Err() == nil)) }()
	if err := p.records.begin(image); err != nil {
		return 0, err
	}
	if len(credentials) == 0 {
		return p.with(ctx, image, nil, s)
	}
	var errs []error
	for i := range credentials {
		took, err := p.with(ctx, image, &credentials[i], s)
		if err == nil || ctx.Err() != nil {
			return took, err
		}
		errs = append(errs, err)
	}
	return 0, errors.Join(errs...)
}

func (p *Puller) credentials(ctx context.Context, pod *v1.Pod, image string) ([]Credential, error) {
	out := Keyring(p.ofPod(pod), image)
	if p.providers == nil {
		return out, nil
	}
	more, err := p.providers.Credentials(ctx, pod, image)
	if err != nil && len(out) == 0 {
		return nil, fmt.Errorf("get credentials for image %s: %w", image, err)
	}
	return append(out, more...), nil
}

func (p *Puller) ofPod(pod *v1.Pod) (out []*v1.Secret) {
	for _, ref := range pod.Spec.ImagePullSecrets {
		if s, ok := p.secrets.Secret(pod.Namespace, ref.Name); ok {
			out = append(out, s)
		}
	}
	return out
}

// with pulls with one credential, or waits for the pull of another pod that does.
func (p *Puller) with(ctx context.Context, image string, c *Credential, s *cri.PodSandboxConfig) (time.Duration, error) {
	key := flight{image: image}
	var auth *cri.AuthConfig
	if c != nil {
		auth, key.credential = c.Auth, hash(c.Auth)
	}
	for {
		p.mu.Lock()
		f, shared := p.flights[key]
		if !shared {
			f = &pulling{done: make(chan struct{})}
			p.flights[key] = f
		}
		p.mu.Unlock()
		if !shared {
			f.took, f.err = p.now(ctx, image, auth, s)
			p.mu.Lock()
			delete(p.flights, key)
			p.mu.Unlock()
			close(f.done)
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-f.done:
		}
		if shared && (errors.Is(f.err, context.Canceled) || errors.Is(f.err, context.DeadlineExceeded)) {
			continue // whoever pulled gave up: that isn't ours
		}
		if f.err != nil {
			return 0, f.err
		}
		return f.took, p.record(ctx, image, c)
	}
}

func (p *Puller) now(ctx context.Context, image string, auth *cri.AuthConfig, s *cri.PodSandboxConfig) (time.Duration, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case p.slots <- struct{}{}:
	}
	defer func() { <-p.slots }()
	begin := p.clock.Now()
	err := p.images.PullImage(ctx, image, auth, s)
	return p.clock.Since(begin), err
}

func (p *Puller) record(ctx context.Context, image string, c *Credential) error {
	status, err := p.images.ImageStatus(ctx, image)
	if err != nil {
		return err
	}
	if status == nil {
		return fmt.Errorf("image %q was pulled and is not there", image)
	}
	return p.records.add(image, status.Id, c)
}
