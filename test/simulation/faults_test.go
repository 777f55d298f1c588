package simulation

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

var components = []string{"controllers", "nodefeed", "scheduler"}

// planFaults queues all of a seed's faults, beside those that steps have by
// themselves (lost and unanswered appends, doubles, delays).
func (w *world) planFaults() {
	for at, i := 8*time.Second, 0; at < w.chaos; i++ {
		w.later(at, "fault", func() { w.fault(i) })
		at += w.between(time.Second, 9*time.Second, "fault after", i)
	}
}

func (w *world) fault(i int) {
	pick := func(n int) int { return int(w.chance("pick", i) >> 16 % uint64(n)) }
	long := func(least, most time.Duration) time.Duration { return w.between(least, most, "long", i) }
	switch w.chance("fault", i) % 8 {
	case 0:
		w.replicas[pick(2)].restart(long(time.Second, 30*time.Second), w.chance("clean", i)%2 == 0)
	case 1, 2:
		w.depose(components[pick(len(components))], long(0, 8*time.Second))
	case 3:
		w.nodes[pick(nodeCount)].outage(long(time.Second, 50*time.Second))
	case 4:
		w.nodes[pick(nodeCount)].restart(long(time.Second, 40*time.Second), false)
	case 5:
		w.nodes[pick(nodeCount)].reboot(w, long(2*time.Second, 40*time.Second))
	case 6:
		w.server.restart(long(time.Second, 6*time.Second), false)
	case 7:
		w.isolate(w.replicas[pick(2)], long(time.Second, 25*time.Second))
	}
}

// reboot switches the machine off: its containers are gone.
func (n *node) reboot(w *world, d time.Duration) {
	if n.down {
		return
	}
	w.say("       %s is switched off", n.name)
	n.restart(d, false)
	n.runtime = w.runtime(n.number)
}

// isolate cuts a replica off; after a while others lead, and it notices that late.
func (w *world) isolate(r *replica, d time.Duration) {
	if r.down {
		return
	}
	r.outage(d)
	if d < leaseTTL {
		return
	}
	for _, component := range components {
		w.mu.Lock()
		l := w.leases[component]
		leads := l != nil && l.holder == r.name
		w.mu.Unlock()
		if leads {
			w.later(leaseTTL, "expire "+component, func() {
				if l.holder == r.name {
					w.depose(component, w.between(0, 3*time.Second, "notices", component, r.name))
				}
			})
		}
	}
}

func requests(pod *corev1.Pod) (cpu, memory int64) {
	for i := range pod.Spec.Containers {
		r := pod.Spec.Containers[i].Resources.Requests
		cpu += r.Cpu().MilliValue()
		memory += r.Memory().Value()
	}
	return cpu, memory
}
