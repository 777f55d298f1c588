package integration

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
)

// until asks again and again, for half a minute at most.
func (n *node) until(what string, is func() bool) {
	n.t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(30 * time.Second); !is(); {
		if time.Now().After(deadline) {
			n.t.Fatalf("in half a minute: not %s", what)
		}
		<-ticker.C
	}
}

func (n *node) awaitNo(path string) {
	n.t.Helper()
	n.until("gone: "+path, func() bool {
		_, err := os.Lstat(path)
		return errors.Is(err, fs.ErrNotExist)
	})
}

// awaitFile waits until a file begins with a text.
func (n *node) awaitFile(path, text string) {
	n.t.Helper()
	n.until(path+" begins with "+text, func() bool {
		data, err := os.ReadFile(path)
		return err == nil && strings.HasPrefix(string(data), text)
	})
}

func (n *node) awaitLogHas(pod, text string) {
	n.t.Helper()
	n.until("in the log of "+pod+": "+text, func() bool {
		return strings.Contains(n.get("/containerLogs/default/"+pod+"/main"), text)
	})
}

// awaitNote waits until a fact about a pod says something.
func (n *node) awaitNote(p *v1.Pod, text string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 30*time.Second)
	defer cancel()
	var said []string
	for batch, err := range n.bus.Log().Follow(ctx, 1, "fact.n1.core.pods."+p.Namespace+"."+p.Name) {
		if err != nil {
			break
		}
		for _, e := range batch {
			for _, s := range e.Steps() {
				said = append(said, s.Note)
			}
		}
		if slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, text) }) {
			return
		}
	}
	n.t.Fatalf("nothing about %s says %q, but %q", p.Name, text, said)
}

// answer is what the API answers with.
func answer(code int, o any) *http.Response {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(o); err != nil {
		panic(err)
	}
	return w.Result()
}
