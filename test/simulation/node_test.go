package simulation

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent"
	"github.com/reckon-project/reckon/agent/hollow"
)

// node is a machine: its agent can be killed, and its containers go on; or all
// of it can be switched off.
type node struct {
	*process
	number   int
	runtime  *hollow.Runtime
	capacity corev1.ResourceList
}

func (w *world) node(i int) *node {
	n := &node{number: i, runtime: w.runtime(i), capacity: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("8Gi"), corev1.ResourcePods: resource.MustParse("10"),
	}}
	name := fmt.Sprintf("n%d", i)
	n.process = w.process(name, func(ctx context.Context, p *process) {
		conn := w.connect(name)
		a, err := agent.New(agent.Options{
			Node: name, Bus: conn, API: gate{w, conn, w.api.Intake("node-" + name), name}, Runtime: n.runtime, Capacity: n.capacity,
			NodeIPs: []string{fmt.Sprintf("192.168.0.%d", i)}, Clock: clock.RealClock{}, Log: w.logger, Gather: time.Millisecond,
		})
		if err != nil {
			p.fails(err)
			return
		}
		p.goes(ctx, "agent", a.Run)
	})
	return n
}

// runtime makes an empty one; starting a pod takes a time of its own.
func (w *world) runtime(i int) *hollow.Runtime {
	return hollow.NewRuntime(clock.RealClock{}, i, w.between(startLeast, startMost, "runtime", i))
}
