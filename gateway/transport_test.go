package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/reckon-project/reckon/events"
)

// inProcessClient serves h to a client of the user named u.
func inProcessClient(t *testing.T, u string, h http.HandlerFunc) (*http.Client, context.CancelFunc) {
	t.Helper()
	base, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	p := newInProcess(base)
	p.serve(h)
	return &http.Client{Transport: p.transport(&user.DefaultInfo{Name: u})}, stop
}

func get(ctx context.Context, t *testing.T, c *http.Client) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://localhost/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Do(req)
}

func TestInProcessIdentity(t *testing.T) {
	c, _ := inProcessClient(t, "someone", func(w http.ResponseWriter, r *http.Request) {
		answer, ok, err := contextAuthenticator{}.AuthenticateRequest(r)
		if !ok || err != nil {
			t.Errorf("authenticate: %v %v", ok, err)
			return
		}
		w.Header().Set("X-Who", answer.User.GetName())
		w.WriteHeader(http.StatusTeapot)
	})
	r, err := get(t.Context(), t, c)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != http.StatusTeapot || r.Header.Get("X-Who") != "someone" {
		t.Errorf("answered %v %v", r.Status, r.Header)
	}
}

// TestInProcessStream: what is flushed can be read while the handler goes on,
// and closing the body ends the handler.
func TestInProcessStream(t *testing.T) {
	ended := make(chan struct{})
	c, _ := inProcessClient(t, "", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(ended)
	})
	r, err := get(t.Context(), t, c)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 5)
	if _, err := io.ReadFull(r.Body, buf); err != nil || string(buf) != "first" {
		t.Errorf("read %q, %v", buf, err)
	}
	r.Body.Close()
	<-ended
}

// TestInProcessLarge: a writer far ahead of its reader waits for it.
func TestInProcessLarge(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789"), maxBuffered/2)
	c, _ := inProcessClient(t, "", func(w http.ResponseWriter, r *http.Request) {
		for rest := want; len(rest) > 0; {
			n, err := w.Write(rest[:min(len(rest), 50_000)])
			if err != nil {
				t.Error(err)
				return
			}
			rest = rest[n:]
		}
	})
	r, err := get(t.Context(), t, c)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d of %d bytes, %v", len(got), len(want), err)
	}
}

func TestInProcessEnds(t *testing.T) {
	started := make(chan struct{}, 1)
	c, stop := inProcessClient(t, "", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Panic") != "" {
			panic("on purpose")
		}
		started <- struct{}{}
		<-r.Context().Done()
	})
	req, err := http.NewRequest(http.MethodGet, "https://localhost/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Panic", "yes")
	if _, err := c.Do(req); err == nil {
		t.Error("a panic of the handler was answered")
	}

	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-started
		cancel()
	}()
	if _, err := get(ctx, t, c); !errors.Is(err, context.Canceled) {
		t.Errorf("a request whose context ended: %v", err)
	}

	go func() {
		<-started
		stop()
	}()
	if _, err := get(t.Context(), t, c); !errors.Is(err, events.ErrUnavailable) {
		t.Errorf("a request when the server stopped: %v", err)
	}
	if _, err := get(t.Context(), t, c); !errors.Is(err, events.ErrUnavailable) {
		t.Errorf("a request after the server stopped: %v", err)
	}
}

func TestBusUser(t *testing.T) {
	for subject, want := range map[string]string{
		"api.node:n1.conn":              "system:node:n1",
		"api.node:n1%2Efoo.conn":        "system:node:n1.foo",
		"api.user:admin.conn":           "admin",
		"api.user:root.conn":            "",
		"api.controller:a:b.conn":       "system:serviceaccount:a:b",
		"api.controller:a%2Eb:c%2Ed.do": "system:serviceaccount:a.b:c.d",
		"api.controller:a.conn":         "",
		"api.controller::a.conn":        "",
		"api.controller:a:b:c.conn":     "",
		"api.node:.conn":                "",
		"api.component:plane.conn":      "",
		"api.conn":                      "",
		"tunnel.node:n1.conn":           "",
	} {
		id, err := busIdentity(subject)
		if want == "" {
			if !errors.Is(err, events.ErrInvalid) {
				t.Errorf("%s: %v, %v", subject, id, err)
			}
			continue
		}
		if err != nil || id.user.GetName() != want {
			t.Errorf("%s: %v, %v", subject, id, err)
		}
	}
}
