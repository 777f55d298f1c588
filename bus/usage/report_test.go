package usage_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus/usage"
	"github.com/reckon-project/reckon/events"
)

func TestReport(t *testing.T) {
	r := &usage.Report{Time: time.Unix(1000, 5).UTC(), Window: 15 * time.Second, Use: usage.Use{CPU: 7, Memory: 8}, Pods: []usage.Pod{{
		UID: "u", Window: time.Second, Containers: []usage.Container{{Name: "c", Use: usage.Use{CPU: 1, Memory: 2}}},
	}}}
	data, err := usage.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	back, err := usage.Decode(data)
	if err != nil || !reflect.DeepEqual(r, back) {
		t.Errorf("%s came back as %+v, %v", data, back, err)
	}
	if _, err := usage.Decode([]byte("no")); !errors.Is(err, events.ErrInvalid) {
		t.Errorf("nonsense is %v", err)
	}
	if got := usage.Subject("n.1"); got != "usage.n%2E1" {
		t.Errorf("the subject is %q", got)
	}
	if node, err := usage.NodeOf("usage.n%2E1"); err != nil || node != "n.1" {
		t.Errorf("the node is %q, %v", node, err)
	}
	if _, err := usage.NodeOf("beat.n1"); err == nil {
		t.Error("a heartbeat is a node's usage")
	}
}
