package agent_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent"
	"github.com/reckon-project/reckon/agent/hollow"
	"github.com/reckon-project/reckon/agent/pod"
	"github.com/reckon-project/reckon/agent/report"
	"github.com/reckon-project/reckon/agent/volume"
)

// unmeasured is a runtime that may not say what its containers use.
type unmeasured struct {
	*hollow.Runtime
	err error
}

func (r *unmeasured) Stats(ctx context.Context) ([]*cri.ContainerStats, error) {
	if r.err != nil {
		return nil, r.err
	}
	return r.Runtime.Stats(ctx)
}

// stuck are volumes of which one pod's can't be taken away.
type stuck struct{ uid string }

func (stuck) Mount(context.Context, *v1.Pod) (map[string]volume.Mounted, error) {
	return map[string]volume.Mounted{}, nil
}

func (s stuck) Unmount(_ context.Context, uid string) error {
	if uid == s.uid {
		return errors.New("its driver is away")
	}
	return nil
}

func (stuck) ConfigMap(string, string) (*v1.ConfigMap, bool) { return nil, false }
func (stuck) Secret(string, string) (*v1.Secret, bool)       { return nil, false }
func (stuck) Services(string) []*v1.Service                  { return nil }

type silent struct{}

func (silent) Report(report.Fact) {}

// A pod that was evicted and can't end doesn't keep others from being evicted, and
// none is while nobody knows what they use.
func TestWhoIsEvictedNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &unmeasured{Runtime: hollow.NewRuntime(clock.RealClock{}, 1, 0)}
		volumes := stuck{"first"}
		relief := agent.NewRelief(t, &pod.Host{Node: "n1", Runtime: r, Volumes: volumes, Objects: volumes, Reports: silent{}, Clock: clock.RealClock{},
			Log: slog.New(slog.DiscardHandler), Pretended: true})
		ctx, cancel := context.WithCancel(t.Context())
		var all []<-chan struct{}
		for i, name := range []string{"first", "second"} {
			priority := int32(i)
			p := &v1.Pod{Spec: v1.PodSpec{Priority: &priority, RestartPolicy: v1.RestartPolicyAlways, Containers: []v1.Container{{Name: "main", Image: "web"}}}}
			p.Namespace, p.Name, p.UID = "default", name, types.UID(name)
			all = append(all, relief.Run(ctx, p))
		}
		synctest.Wait()
		r.err = errors.New("the runtime has no time")
		if got := relief.Evict(ctx); got != "" {
			t.Errorf("%s is evicted for nothing that is known", got)
		}
		r.err = nil
		for _, want := range []string{"first", "second", ""} {
			got := relief.Evict(ctx)
			synctest.Wait()
			if got != want {
				t.Errorf("%q is evicted, not %q", got, want)
			}
		}
		cancel()
		for _, done := range all {
			<-done
		}
	})
}
