package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/reckon-project/reckon/projections"
)

// user makes writes that conflict with another user's.
type user struct {
	world *world
	name  string
	http  http.RoundTripper
	stop  context.CancelFunc
	acked []acked
}

// acked is a write that the API said yes to.
type acked struct {
	what    string
	version uint64
}

const deployments = "/apis/apps/v1/namespaces/default/deployments"

func (w *world) user(name string) *user {
	ctx, cancel := context.WithCancel(background)
	conn := w.connect(name)
	u := &user{world: w, name: name, stop: cancel, http: gate{w, conn, w.api.Intake(name), name}}
	p := w.process(name, func(_ context.Context, p *process) { p.group.Go(func() { u.live(ctx) }) })
	p.stop = cancel
	return u
}

// live does something every now and then until the faults end.
func (u *user) live(ctx context.Context) {
	began := time.Now()
	switch u.name {
	case "alice":
		u.until(ctx, http.MethodPost, "/api/v1/namespaces", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"default"}}`)
		u.until(ctx, http.MethodPost, deployments, deployment("web", 3, "1"))
		u.until(ctx, http.MethodPost, deployments, deployment("api", 2, "1500m"))
		u.until(ctx, http.MethodPost, "/api/v1/namespaces/default/services",
			`{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{"selector":{"app":"web"},"ports":[{"port":80}]}}`)
	case "carol":
		u.beginSets(ctx)
		defer u.endSets(ctx)
	}
	for i := 0; ; i++ {
		if !pause(ctx, u.world.between(time.Second, 8*time.Second, u.name, "idles", i)) || time.Since(began) > u.world.chaos {
			return
		}
		if u.name == "carol" {
			u.actOnSets(ctx, i)
		} else {
			u.act(ctx, i)
		}
	}
}

func (u *user) act(ctx context.Context, i int) {
	dice := u.world.chance(u.name, "acts", i)
	name := []string{"web", "api"}[dice>>8%2]
	path := deployments + "/" + name
	n := dice >> 16
	switch dice % 10 {
	case 0, 1:
		u.do(ctx, http.MethodPatch, path, fmt.Sprintf(`{"spec":{"replicas":%d}}`, n%5))
	case 2, 3:
		u.do(ctx, http.MethodPatch, path, fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"version":"%s-%d"}}}}}`, u.name, i))
	case 4, 5:
		u.replace(ctx, path, int64(1+n%4))
	case 6:
		u.deletePod(ctx, n)
	case 7:
		u.do(ctx, http.MethodPost, deployments, deployment(fmt.Sprintf("extra-%d", n%2), 2, "250m"))
	case 8:
		u.do(ctx, http.MethodDelete, deployments+fmt.Sprintf("/extra-%d", n%2), `{"propagationPolicy":"Background"}`)
	case 9:
		node := ""
		if n>>16%2 == 0 { // bound by hand, whether there is room or not
			node = fmt.Sprintf("n%d", n>>17%nodeCount)
		}
		u.do(ctx, http.MethodPost, "/api/v1/namespaces/default/pods", job(fmt.Sprintf("%s-%d", u.name, i), node, n))
	}
}

// replace reads, waits and writes what it read, changed: somebody else may be between.
func (u *user) replace(ctx context.Context, path string, replicas int64) {
	_, data := u.do(ctx, http.MethodGet, path, "")
	var o unstructured.Unstructured
	if data == nil || json.Unmarshal(data, &o.Object) != nil {
		return
	}
	if !pause(ctx, u.world.between(time.Millisecond, 2*time.Second, u.name, "thinks", path, replicas)) {
		return
	}
	if err := unstructured.SetNestedField(o.Object, replicas, "spec", "replicas"); err != nil {
		u.world.fail(err)
		return
	}
	if data, err := json.Marshal(o.Object); err == nil {
		u.do(ctx, http.MethodPut, path, string(data))
	}
}

func (u *user) deletePod(ctx context.Context, n uint64) {
	var names []string
	for p := range projections.List[*corev1.Pod](u.world.server.projection.Load().Snapshot(), "", "pods", "default") {
		names = append(names, p.Name)
	}
	if len(names) > 0 {
		u.do(ctx, http.MethodDelete, "/api/v1/namespaces/default/pods/"+names[n%uint64(len(names))], "{}")
	}
}

// until repeats a write until the API answers.
func (u *user) until(ctx context.Context, method, path, body string) {
	for {
		if code, _ := u.do(ctx, method, path, body); code != 0 && code < 500 || !pause(ctx, time.Second) {
			return
		}
	}
}

// do is one request; code 0: there was no answer.
func (u *user) do(ctx context.Context, method, path, body string) (code int, answer []byte) {
	r, err := http.NewRequestWithContext(ctx, method, "http://api"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		u.world.fail(err)
		return 0, nil
	}
	resp, err := u.http.RoundTrip(r)
	if err != nil {
		return 0, nil
	}
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		u.world.fail(err)
	}
	if resp.StatusCode >= 300 {
		return resp.StatusCode, nil
	}
	var o struct {
		Metadata struct{ ResourceVersion string }
	}
	if json.Unmarshal(answer, &o) == nil && method != http.MethodGet {
		if v, err := strconv.ParseUint(o.Metadata.ResourceVersion, 10, 64); err == nil {
			u.acked = append(u.acked, acked{u.name + ": " + method + " " + path, v})
		}
	}
	return resp.StatusCode, answer
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func deployment(name string, replicas int, cpu string) string {
	return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":%q},"spec":{"replicas":%d,"selector":{"matchLabels":{"app":%q}},
"template":{"metadata":{"labels":{"app":%q}},"spec":{"containers":[{"name":"main","image":"web","resources":{"requests":{"cpu":%q,"memory":"64Mi"}}}]}}}}`,
		name, replicas, name, name, cpu)
}

// job is a pod that ends by itself, well or not; on a node of the user's choice
// it is a bigger one.
func job(name, node string, n uint64) string {
	cpu := "250m"
	if node != "" {
		cpu = "2"
	}
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q,"annotations":{"hollow.reckon.dev/exit-after":"%ds","hollow.reckon.dev/exit-code":"%d"}},
"spec":{"restartPolicy":"Never","nodeName":%q,"containers":[{"name":"main","image":"job","resources":{"requests":{"cpu":%q}}}]}}`, name, 1+n%20, n>>8%2, node, cpu)
}
