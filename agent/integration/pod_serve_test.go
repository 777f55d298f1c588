package integration

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/reckon-project/reckon/events"
)

// get asks the node's kubelet API over its tunnel.
func (n *node) get(path string) string {
	n.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return n.bus.Dial(ctx, "tunnel.n1.conn") }}}
	var r *http.Response
	var err error
	for { // an agent that has just started listens a moment later
		if r, err = client.Get("http://node" + path); !errors.Is(err, events.ErrUnavailable) {
			break
		}
	}
	if err != nil {
		n.t.Fatal(err)
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return string(data)
}

func TestLogs(t *testing.T) {
	n := newNode(t)
	p := n.run(newPod("talk", "/bin/sh", "-c", "echo one; echo two; echo three; sleep 1000"))
	n.await(p, "ready", isReady)
	all := n.get("/containerLogs/default/talk/main")
	for !strings.Contains(all, "three") { // what the container writes takes a moment
		all = n.get("/containerLogs/default/talk/main")
	}
	if all != "one\ntwo\nthree\n" {
		t.Errorf("the log is %q", all)
	}
	if got := n.get("/containerLogs/default/talk/main?tailLines=1"); got != "three\n" {
		t.Errorf("its last line is %q", got)
	}
	if got := n.get("/containerLogs/default/nobody/main"); !strings.Contains(got, "does not exist") {
		t.Errorf("a pod that isn't there answers %q", got)
	}
}
