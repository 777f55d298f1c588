package integration

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// mirrorAPI takes the creation and deletion of mirrors.
type mirrorAPI struct {
	fakeAPI
	created chan *v1.Pod
	deleted chan string // the uid that the deletion demands
}

func (a mirrorAPI) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.Method + " " + r.URL.Path {
	case "POST /api/v1/namespaces/default/pods":
		p := &v1.Pod{}
		if err := json.NewDecoder(r.Body).Decode(p); err != nil {
			return nil, err
		}
		p.UID = types.UID(uuid.NewString())
		w := httptest.NewRecorder()
		if err := json.NewEncoder(w).Encode(p); err != nil {
			return nil, err
		}
		return w.Result(), send(r.Context(), a.created, p)
	case "DELETE /api/v1/namespaces/default/pods/steady-n1":
		o := &metav1.DeleteOptions{}
		if err := json.NewDecoder(r.Body).Decode(o); err != nil {
			return nil, err
		}
		w := httptest.NewRecorder()
		return w.Result(), send(r.Context(), a.deleted, string(*o.Preconditions.UID))
	}
	return a.fakeAPI.RoundTrip(r)
}

func send[T any](ctx context.Context, to chan T, v T) error {
	select {
	case to <- v:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// next waits for what the agent asks of the API.
func next[T any](t *testing.T, from chan T) T {
	t.Helper()
	timer := time.NewTimer(30 * time.Second)
	defer timer.Stop()
	var v T
	select {
	case v = <-from:
	case <-timer.C:
		t.Fatal("the agent doesn't ask the API")
	}
	return v
}

const steady = `apiVersion: v1
kind: Pod
metadata: {name: steady}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: "` + busybox + `", command: [/bin/sleep, "SECONDS"]}
`

// A pod of a file runs without the cluster, is seen there by its mirror, and follows its file.
func askStaticPods(t *testing.T, n *node) {
	api := mirrorAPI{created: make(chan *v1.Pod, 10), deleted: make(chan string, 100)}
	before := n.options.API
	n.options.API, n.options.StaticPodDir = api, t.TempDir()
	n.halt()
	file := filepath.Join(n.options.StaticPodDir, "steady.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(steady)
	n.start()

	m := next(t, api.created)
	if m.Name != "steady-n1" || m.Spec.NodeName != "n1" || m.OwnerReferences[0].UID != "node-uid" || m.Annotations["kubernetes.io/config.mirror"] == "" {
		t.Errorf("its mirror is %+v", m)
	}
	n.put("pods", m)
	s, _ := n.await(m, "ready", isReady)

	now := metav1.Now()
	m.DeletionTimestamp = &now // somebody deletes the mirror: the pod doesn't care
	n.put("pods", m)
	if got := next(t, api.deleted); got != string(m.UID) {
		t.Errorf("it deletes %s", got)
	}
	n.remove(m)
	m = next(t, api.created)
	n.put("pods", m)
	again, _ := n.await(m, "ready again", isReady)
	if first(again).ContainerID != first(s).ContainerID {
		t.Errorf("the pod was restarted with its mirror: %+v", again)
	}

	n.halt() // the agent's own restart changes nothing
	n.start()
	after, _ := n.await(m, "ready after a restart", isReady)
	if first(after).ContainerID != first(s).ContainerID {
		t.Errorf("the pod was restarted with the agent: %+v", after)
	}

	write(steady + "  hostname: other\n")
	old := m
	for m.UID == old.UID { // what is asked again meanwhile is asked of the old one
		select {
		case uid := <-api.deleted:
			if uid == string(old.UID) {
				n.remove(old)
			}
		case m = <-api.created:
		case <-time.After(30 * time.Second):
			t.Fatal("the mirror isn't replaced")
		}
	}
	n.put("pods", m)
	other, _ := n.await(m, "ready with another content", isReady)
	if first(other).ContainerID == first(s).ContainerID {
		t.Error("another content is the same pod")
	}

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	for got := ""; got != string(m.UID); {
		got = next(t, api.deleted)
	}
	n.remove(m)
	p := &v1.Pod{}
	p.Name, p.UID = m.Name, types.UID(m.Annotations["kubernetes.io/config.mirror"])
	n.awaitGone(p)
	n.options.API, n.options.StaticPodDir = before, ""
	n.halt()
	n.start()
}
