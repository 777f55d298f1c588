package integration

import (
	"context"
	"io"
	"testing"

	"github.com/reckon-project/reckon/agent"
	"github.com/reckon-project/reckon/agent/cri"
	"github.com/reckon-project/reckon/agent/direct"
	"github.com/reckon-project/reckon/agent/runtime"
	"github.com/reckon-project/reckon/agent/runtime/runtimetest"
)

// newRuntimes starts a node's containerd without its agent and gives the two
// ways to drive it.
func newRuntimes(t testing.TB) (*node, map[string]func(testing.TB) runtime.Runtime) {
	t.Helper()
	n := newNode(t)
	n.halt()
	layout := agent.Layout(n.options)
	dial := func(t testing.TB) *cri.Client {
		t.Helper()
		client, err := layout.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
	// Of one runtime there is one at a time: a restarted agent's comes after the old one is gone.
	var open runtime.Runtime
	closing := func(t testing.TB) {
		if c, ok := open.(io.Closer); ok {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		open = nil
	}
	t.Cleanup(func() { closing(t) })
	return n, map[string]func(testing.TB) runtime.Runtime{
		agent.RuntimeCRI: func(t testing.TB) runtime.Runtime {
			closing(t)
			open = dial(t)
			return open
		},
		agent.RuntimeDirect: func(t testing.TB) runtime.Runtime {
			closing(t)
			o := layout.Direct()
			o.Logger = n.options.Logger
			r, err := direct.New(context.WithoutCancel(t.Context()), dial(t), o)
			if err != nil {
				t.Fatal(err)
			}
			open = r
			return r
		},
	}
}

func TestRuntimes(t *testing.T) {
	n, runtimes := newRuntimes(t)
	for name, open := range runtimes {
		t.Run(name, func(t *testing.T) {
			runtimetest.Run(t, runtimetest.Target{Open: open, Image: busybox, CgroupParent: agent.Layout(n.options).CgroupPrefix()})
		})
	}
}
