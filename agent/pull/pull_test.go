package pull_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent/pull"
)

// registry is a runtime whose pulls take ten seconds and ask for a password.
type registry struct {
	mu       sync.Mutex
	password map[string]string // by image
	there    map[string]bool
	now      int // pulls under way
	most     int
	pulls    int
}

func newRegistry() *registry {
	return &registry{password: map[string]string{}, there: map[string]bool{}}
}

func (r *registry) ImageStatus(_ context.Context, ref string) (*cri.Image, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.there[ref] {
		return nil, nil
	}
	return &cri.Image{Id: "id-of-" + ref, Size: 7}, nil
}

func (r *registry) PullImage(ctx context.Context, ref string, auth *cri.AuthConfig, _ *cri.PodSandboxConfig) error {
	r.mu.Lock()
	r.now++
	r.pulls++
	r.most = max(r.most, r.now)
	r.mu.Unlock()
	defer func() { r.mu.Lock(); r.now--; r.mu.Unlock() }()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(10 * time.Second):
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if want := r.password[ref]; want != "" && (auth == nil || auth.Password != want) {
		return errors.New("not authorized")
	}
	r.there[ref] = true
	return nil
}

type secrets map[string]*v1.Secret

func (s secrets) Secret(_, name string) (*v1.Secret, bool) { out, ok := s[name]; return out, ok }

func secret(name, server, password string) *v1.Secret {
	auth := base64.StdEncoding.EncodeToString([]byte("me:" + password))
	return &v1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)},
		Data: map[string][]byte{v1.DockerConfigJsonKey: fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, server, auth)}}
}

func pod(secrets ...string) *v1.Pod {
	p := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p"}}
	for _, s := range secrets {
		p.Spec.ImagePullSecrets = append(p.Spec.ImagePullSecrets, v1.LocalObjectReference{Name: s})
	}
	return p
}

func records(t *testing.T, path string) *pull.Records {
	t.Helper()
	r, err := pull.OpenRecords(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAtOnceAndTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry()
		p := pull.New(r, secrets{}, nil, records(t, ""), 2, clock.RealClock{})
		var all sync.WaitGroup
		begin := time.Now()
		for i := range 40 {
			all.Go(func() {
				image := fmt.Sprintf("reg.io/app%d:1", i%4)
				if _, err := p.Pull(t.Context(), pod(), image, nil); err != nil {
					t.Error(err)
				}
			})
		}
		// Who gives up doesn't take those with it that wait for the same pull.
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		all.Go(func() {
			if _, err := p.Pull(ctx, pod(), "reg.io/app9:1", nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("giving up gives %v", err)
			}
		})
		synctest.Wait()
		all.Go(func() {
			if _, err := p.Pull(t.Context(), pod(), "reg.io/app9:1", nil); err != nil {
				t.Error(err)
			}
		})
		all.Wait()
		if took := time.Since(begin); r.most != 2 || r.pulls > 6 || took > 40*time.Second {
			t.Errorf("%d pulls, %d at once, took %s", r.pulls, r.most, took)
		}
	})
}

func TestImagesAreForWhoMayPullThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry()
		r.password["reg.io/private:1"] = "right"
		r.there["reg.io/before:1"] = true
		all := secrets{"right": secret("right", "reg.io", "right"), "same": secret("same", "https://reg.io/v1/", "right"), "wrong": secret("wrong", "reg.io", "wrong")}
		path := filepath.Join(t.TempDir(), "images.json")
		p := pull.New(r, all, nil, records(t, path), 5, clock.RealClock{})
		if _, err := p.Pull(t.Context(), pod(), "reg.io/private:1", nil); err == nil {
			t.Error("without a secret the private image can be pulled")
		}
		if took, err := p.Pull(t.Context(), pod("wrong", "right"), "reg.io/private:1", nil); err != nil || took != 10*time.Second {
			t.Errorf("with the right secret: %s, %v", took, err)
		}
		if _, err := p.Pull(t.Context(), pod(), "reg.io/public:1", nil); err != nil {
			t.Error(err)
		}
		check := func(p *pull.Puller) {
			t.Helper()
			for _, c := range []struct {
				image string
				pod   *v1.Pod
				want  bool
			}{
				{"reg.io/private:1", pod(), false}, {"reg.io/private:1", pod("wrong"), false}, {"reg.io/private:1", pod("right"), true},
				{"reg.io/private:1", pod("same"), true}, {"reg.io/public:1", pod(), true}, {"reg.io/before:1", pod(), true},
			} {
				if got := p.MayUse(t.Context(), c.pod, c.image, "id-of-"+c.image); got != c.want {
					t.Errorf("%s for a pod with %v: %v", c.image, c.pod.Spec.ImagePullSecrets, got)
				}
			}
		}
		check(p)
		kept := records(t, path)
		check(pull.New(r, all, nil, kept, 5, clock.RealClock{}))
		if !kept.Pulled("id-of-reg.io/public:1") || kept.Pulled("id-of-reg.io/before:1") {
			t.Error("what was pulled isn't known")
		}
		if err := kept.Forget(map[string]bool{"id-of-reg.io/private:1": true}); err != nil || kept.Pulled("id-of-reg.io/public:1") || !kept.Pulled("id-of-reg.io/private:1") {
			t.Errorf("forgetting: %v", err)
		}
		if err := os.WriteFile(path, []byte("{torn"), 0o600); err != nil {
			t.Fatal(err)
		}
		if records(t, path).Pulled("id-of-reg.io/private:1") {
			t.Error("a torn file tells of a pull")
		}
	})
}

// The runtime may complete a pull of which the agent, which ended, never learns.
func TestAnImageOfAnInterruptedPullIsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry()
		const image = "reg.io/private:1"
		r.password[image] = "right"
		all := secrets{"right": secret("right", "reg.io", "right")}
		path := filepath.Join(t.TempDir(), "images.json")
		p := pull.New(r, all, nil, records(t, path), 5, clock.RealClock{})
		check := func(p *pull.Puller, name string, want bool) {
			t.Helper()
			if got := p.MayUse(t.Context(), pod(name), image, "id-of-"+image); got != want {
				t.Errorf("a pod with secret %s may use it: %v", name, got)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() {
			if _, err := p.Pull(ctx, pod("right"), image, nil); !errors.Is(err, context.Canceled) {
				t.Errorf("giving up gives %v", err)
			}
		})
		synctest.Wait()
		killed := records(t, path) // as it is on the disk at this moment
		cancel()
		done.Wait()
		r.there[image] = true
		for _, p := range []*pull.Puller{p, pull.New(r, all, nil, killed, 5, clock.RealClock{}), pull.New(r, all, nil, records(t, path), 5, clock.RealClock{})} {
			check(p, "wrong", false)
			check(p, "right", false)
		}
		if _, err := p.Pull(t.Context(), pod("right"), image, nil); err != nil {
			t.Error(err)
		}
		for _, p := range []*pull.Puller{p, pull.New(r, all, nil, records(t, path), 5, clock.RealClock{})} {
			check(p, "wrong", false)
			check(p, "right", true)
		}
		if _, err := p.Pull(t.Context(), pod(), "reg.io/public:1", nil); err != nil {
			t.Error(err)
		}
		if data, err := os.ReadFile(path); err != nil || strings.Contains(string(data), "under") {
			t.Errorf("nothing is being pulled: %s, %v", data, err)
		}
	})
}

func TestKeyring(t *testing.T) {
	for _, c := range []struct {
		server, image string
		want          bool
	}{
		{"reg.io", "reg.io/a:1", true}, {"https://reg.io/v2/", "reg.io/a/b", true}, {"reg.io/team", "reg.io/team/a:1", true}, {"reg.io/team", "reg.io/other/a:1", false},
		{"*.reg.io", "eu.reg.io/a", true}, {"*.reg.io", "reg.io/a", false}, {"reg.io", "reg.io:5000/a", false}, {"reg.io:5000", "reg.io:5000/a", true},
		{"https://index.docker.io/v1/", "nginx", true}, {"docker.io", "library/nginx:1", true}, {"docker.io", "docker.io/library/nginx", true}, {"docker.io", "reg.io/nginx", false},
		{"localhost:5000", "localhost:5000/a", true}, {"docker.io", "localhost/a", false},
	} {
		if got := len(pull.Keyring([]*v1.Secret{secret("s", c.server, "x")}, c.image)) > 0; got != c.want {
			t.Errorf("%s for %s: %v", c.server, c.image, got)
		}
	}
	got := pull.Keyring([]*v1.Secret{secret("short", "reg.io", "short"), secret("long", "reg.io/team", "long"), {Data: map[string][]byte{v1.DockerConfigJsonKey: []byte("{")}}}, "reg.io/team/a")
	if len(got) != 2 || got[0].Auth.Password != "long" || got[0].Auth.Username != "me" || got[1].Secret.Name != "short" {
		t.Errorf("got %+v", got)
	}
}
