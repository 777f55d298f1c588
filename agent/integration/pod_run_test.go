package integration

import (
	"testing"
)

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
