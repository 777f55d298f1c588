package integration

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/bus"
)

func TestNodeReportsThatItIsReady(t *testing.T) {
	n := newNode(t)
	beats := make(chan string, 10)
	if err := n.bus.Subscribe(t.Context(), "beat.n1", func(m bus.Message) { beats <- string(m.Data) }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for batch, err := range n.bus.Log().Follow(ctx, 1, "fact.n1.core.nodes._.n1") {
		if err != nil {
			t.Fatal(err)
		}
		var data struct{ Status v1.NodeStatus }
		if err := json.Unmarshal(batch[len(batch)-1].Data, &data); err != nil {
			t.Fatal(err)
		}
		s := data.Status
		ready := s.Conditions[len(s.Conditions)-1]
		if ready.Type != v1.NodeReady || ready.Status != v1.ConditionTrue {
			continue
		}
		if batch[0].UID != "node-uid" || s.Capacity.Cpu().IsZero() || s.Capacity.Memory().IsZero() || len(s.Addresses) != 2 || len(s.Images) == 0 {
			t.Errorf("the node's status lacks something: %+v", s)
		}
		break
	}
	if got := <-beats; !strings.Contains(got, `"node":"n1"`) {
		t.Errorf("a heartbeat is %s", got)
	}
}

func TestPodRuns(t *testing.T) {
	n := newNode(t)
	p := n.run(newPod("web", "/bin/sh", "-c", "echo hello; sleep 1000"))
	status, facts := n.await(p, "ready", isReady)
	if status.PodIP == "" || status.StartTime == nil || status.QOSClass == "" {
		t.Errorf("the status lacks fields: %+v", status)
	}
	for _, f := range facts {
		t.Logf("%s: %s", f.Reason, f.Note)
	}
	if len(facts) > 3 {
		t.Errorf("a normal start took %d facts", len(facts))
	}
}
