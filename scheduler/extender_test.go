package scheduler

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"

	"github.com/reckon-project/reckon/events"
)

// server is an extender that lets through the nodes whose names end so, and
// prefers the last of them.
func extenderServer(t *testing.T, suffix string) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var args extenderv1.ExtenderArgs
		if err := json.NewDecoder(r.Body).Decode(&args); err != nil {
			t.Error(err)
		}
		var names []string
		if args.NodeNames != nil {
			names = *args.NodeNames
		} else {
			for _, n := range args.Nodes.Items {
				names = append(names, n.Name)
			}
		}
		var answer any
		switch r.URL.Path {
		case "/filter":
			kept, failed := []string{}, extenderv1.FailedNodesMap{}
			for _, n := range names {
				if strings.HasSuffix(n, suffix) {
					kept = append(kept, n)
				} else {
					failed[n] = "node(s) out of licences"
				}
			}
			result := extenderv1.ExtenderFilterResult{FailedNodes: failed, NodeNames: &kept}
			if args.NodeNames == nil {
				result.NodeNames, result.Nodes = nil, &corev1.NodeList{}
				for _, n := range args.Nodes.Items {
					if strings.HasSuffix(n.Name, suffix) {
						result.Nodes.Items = append(result.Nodes.Items, n)
					}
				}
			}
			answer = result
		case "/score":
			list := extenderv1.HostPriorityList{}
			for i, n := range names {
				list = append(list, extenderv1.HostPriority{Host: n, Score: int64(10 * i / len(names))})
			}
			answer = list
		default:
			http.NotFound(w, r)
			return
		}
		json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(s.Close)
	return s
}

// startWith runs a scheduler by a configuration.
func (h *harness) startWith(text string) {
	h.t.Helper()
	config, err := ParseConfig([]byte(configHead + text))
	if err != nil {
		h.t.Fatal(err)
	}
	h.group.Go(func() {
		if err := New(Options{Bus: h.bus, Projection: h.projection, Holder: "one", Config: config}).Run(h.ctx); h.ctx.Err() == nil {
			h.t.Errorf("scheduler stopped: %v", err)
		}
	})
}

// decision waits for the scheduler's next event about a pod after position.
func (h *harness) decision(pod string, after uint64) *events.Event {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.ctx, time.Minute)
	defer cancel()
	for changes, err := range h.projection.Changes(ctx, after) {
		if err != nil {
			h.t.Fatal(err)
		}
		for _, c := range changes {
			if c.Event.Source == Component && c.Event.Key.Name == pod {
				return c.Event
			}
		}
	}
	h.t.Fatalf("no decision about %s", pod)
	return nil
}

func TestExtenders(t *testing.T) {
	for _, cached := range []bool{true, false} {
		t.Run(fmt.Sprintf("nodeCacheCapable=%v", cached), func(t *testing.T) {
			url := extenderServer(t, "-b").URL
			h := newHarness(t, nil)
			for _, n := range []string{"n1-a", "n2-b", "n3-b", "n4-a"} {
				h.create("nodes", parseNode(t, n, []string{"cpu=4", "memory=8Gi"}))
			}
			from := h.projection.Snapshot().Position()
			h.startWith(fmt.Sprintf("extenders: [{urlPrefix: %q, filterVerb: filter, prioritizeVerb: score, weight: 100, nodeCacheCapable: %v, managedResources: [{name: x.io/licence, ignoredByScheduler: true}]}]\n", url, cached))
			h.create("pods", parsePod(t, "plain", []string{"cpu=1"}))
			if e := h.decision("plain", from); e.Type != events.Scheduled || !strings.HasSuffix(e.Note, " to n1-a") {
				t.Errorf("a pod that the extender has nothing to do with: %s", e.Note)
			}
			h.create("pods", parsePod(t, "licensed", []string{"cpu=1", "x.io/licence=1"}))
			if e := h.decision("licensed", from); e.Type != events.Scheduled || !strings.HasSuffix(e.Note, " to n3-b") {
				t.Errorf("of the nodes that the extender keeps, the one it prefers: %s", e.Note)
			}
		})
	}
}

func TestExtendersThatRefuseOrFail(t *testing.T) {
	refusing := extenderServer(t, "none").URL
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, c := range map[string]struct {
		config, note string
		typ          string
	}{
		"refuses":     {fmt.Sprintf("extenders: [{urlPrefix: %q, filterVerb: filter, nodeCacheCapable: true}]\n", refusing), "0/2 nodes are available: 2 node(s) out of licences.", events.Unschedulable},
		"isn't there": {fmt.Sprintf("extenders: [{urlPrefix: %q, filterVerb: filter}]\n", gone.URL), "0/2 nodes are available: Post", events.Unschedulable},
		"ignorable":   {fmt.Sprintf("extenders: [{urlPrefix: %q, filterVerb: filter, ignorable: true}]\n", gone.URL), "Successfully assigned default/p to n1", events.Scheduled},
		"no scores":   {fmt.Sprintf("extenders: [{urlPrefix: %q, prioritizeVerb: score, weight: 1}]\n", gone.URL), "Successfully assigned default/p to n1", events.Scheduled},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, nil)
			for _, n := range []string{"n1", "n2"} {
				h.create("nodes", parseNode(t, n, []string{"cpu=4", "memory=8Gi"}))
			}
			from := h.projection.Snapshot().Position()
			h.startWith(c.config)
			h.create("pods", parsePod(t, "p", []string{"cpu=1"}))
			if e := h.decision("p", from); e.Type != c.typ || !strings.HasPrefix(e.Note, c.note) {
				t.Errorf("%s: %s", e.Type, e.Note)
			}
		})
	}
}
