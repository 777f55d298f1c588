package scheduler

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	corev1 "k8s.io/api/core/v1"
)

// rivals are who else binds pods: a scheduler of another name with a view as old as it likes, and users. Nodes
// admit pods in the order in which they learn of them, as ADR 8 says, and who lost is made anew.
type rivals struct {
	*harness
	random   *rand.Rand
	nodes    []string
	room     int64                     // of each node, in pods of one cpu
	running  map[string]map[string]int // by node, the pods let in
	made     int
	mostSeen int
}

func (r *rivals) add(words ...string) {
	r.made++
	r.create("pods", parsePod(r.t, fmt.Sprint("p", r.made), append([]string{"cpu=1"}, words...)))
}

// bindElsewhere is the other scheduler's: any node that has room in a snapshot that gets old while it thinks.
func (r *rivals) bindElsewhere() {
	s := r.projection.Snapshot()
	time.Sleep(time.Duration(r.random.IntN(4)) * time.Millisecond)
	for o := range s.List("", "pods", "") {
		pod := o.Value.(*corev1.Pod)
		if pod.Spec.SchedulerName != "other" || pod.Spec.NodeName != "" {
			continue
		}
		for _, i := range r.random.Perm(len(r.nodes)) {
			used := int64(0)
			for p := range s.PodsOn(r.nodes[i]) {
				if p.Value.(*corev1.Pod).Status.Phase != corev1.PodFailed {
					used++
				}
			}
			if used < r.room {
				_, err := r.bus.Log().Append(r.ctx, bus.Entry{Expect: bus.Expect(o.Decision), Event: &events.Event{
					Prefix: events.PrefixDecision, Key: o.Key, ID: bus.NewID(), Source: "gateway", Time: time.Now(), Type: events.Updated,
					ContentType: events.ContentPatch, Data: fmt.Appendf(nil, `{"spec":{"nodeName":%q}}`, r.nodes[i]),
				}})
				if err != nil {
					continue // it was bound, or changed, meanwhile
				}
				break
			}
		}
	}
}

// admit is all nodes': each lets in what it has room for.
func (r *rivals) admit() {
	s := r.projection.Snapshot()
	for _, name := range r.nodes {
		in := r.running[name]
		for o := range s.PodsOn(name) {
			pod := o.Value.(*corev1.Pod)
			if _, ok := in[pod.Name]; ok || pod.Status.Phase == corev1.PodFailed {
				continue
			}
			phase := corev1.PodRunning
			if int64(len(in)) >= r.room {
				phase = corev1.PodFailed
			} else {
				in[pod.Name] = 0
			}
			r.append(&events.Event{
				Prefix: events.PrefixFact, Reporter: name, Key: o.Key, Type: events.Reported, UID: string(pod.UID), Counter: events.Counter{Incarnation: 1, N: uint64(s.Position())},
				ContentType: events.ContentPatch, Data: fmt.Appendf(nil, `{"status":{"phase":%q}}`, phase),
			})
			if phase == corev1.PodFailed { // its controller makes another
				r.delete(o.Key)
				r.add("scheduler=" + pod.Spec.SchedulerName)
			}
		}
		r.mostSeen = max(r.mostSeen, len(in))
	}
}

// TestRivals fills nodes to the last place while somebody else binds pods to them as well: no node runs
// more than it has room for, and in the end all run.
func TestRivals(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const nodes, room = 8, 4
				r := &rivals{harness: newHarness(t, nil), random: rand.New(rand.NewPCG(seed, 1)), room: room, running: map[string]map[string]int{}}
				stop := r.start("one")
				defer stop()
				for i := range nodes {
					name := fmt.Sprint("n", i)
					r.nodes = append(r.nodes, name)
					r.running[name] = map[string]int{}
					r.create("nodes", parseNode(t, name, []string{fmt.Sprint("cpu=", room)}))
				}
				for i := range nodes * room {
					switch {
					case i%5 == 4:
						r.add("on=" + r.nodes[r.random.IntN(nodes)])
					case i%2 == 0:
						r.add("scheduler=other")
					default:
						r.add("scheduler=default-scheduler")
					}
					if i%3 == 0 {
						r.bindElsewhere()
					}
					r.admit()
				}
				for range 200 {
					synctest.Wait()
					r.bindElsewhere()
					r.admit()
					time.Sleep(time.Second)
				}
				runs := 0
				for _, name := range r.nodes {
					runs += len(r.running[name])
				}
				if runs != nodes*room || r.mostSeen > room {
					t.Errorf("%d of %d pods run, at most %d on one node", runs, nodes*room, r.mostSeen)
				}
				for pod := range projections.List[*corev1.Pod](r.projection.Snapshot(), "", "pods", "") {
					if pod.Spec.NodeName == "" {
						t.Errorf("%s of %s still waits", pod.Name, pod.Spec.SchedulerName)
					}
				}
			})
		})
	}
}
