package examples_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// site creates or changes a website.
func (c *cluster) site(name string, replicas int) {
	c.t.Helper()
	c.apply(fmt.Appendf(nil, `{"apiVersion":"examples.reckon.dev/v1","kind":"Website","metadata":{"name":%q},"spec":{"image":"hello:1","replicas":%d}}`, name, replicas))
}

func (c *cluster) patch(kind, name, patch string, subresources ...string) {
	c.t.Helper()
	if _, err := c.objects(kind).Patch(c.t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, subresources...); err != nil {
		c.t.Fatal(err)
	}
}

// served waits until a website has what it owns, and its status says so.
func (c *cluster) served(name string, replicas int) {
	c.t.Helper()
	c.until(fmt.Sprintf("website %s has a deployment of %d, a service and a status", name, replicas), func() bool {
		return c.field("Deployment", name, "spec", "replicas") == fmt.Sprint(replicas) &&
			c.field("Service", name, "spec", "clusterIP") != "" &&
			strings.HasSuffix(c.field("Website", name, "status", "ready"), fmt.Sprintf("/%d", replicas))
	})
}

var address = regexp.MustCompile(`address=(\S+)`)

func TestWebsite(t *testing.T) {
	c := startCluster(t)
	path, credentials := build(t, "website"), c.credentials("website-operator")

	// Begun before its kind and its rights are there, it waits for them.
	operator := run(t, path, "-credentials", credentials, "-listen", "127.0.0.1:0")
	c.until("it says that it may not", func() bool { return strings.Contains(operator.output(), "may not list") })
	c.applyFile("website/manifests.yaml")
	c.site("one", 2)
	c.served("one", 2)
	if owner := c.field("Deployment", "one", "metadata", "ownerReferences"); !strings.Contains(owner, `"Website"`) {
		t.Errorf("the deployment's owner is %s", owner)
	}
	c.patch("Deployment", "one", `{"status":{"replicas":2,"updatedReplicas":2,"readyReplicas":2,"availableReplicas":2}}`, "status")
	c.until("the status says that all are ready", func() bool { return c.field("Website", "one", "status", "ready") == "2/2" })
	c.patch("Website", "one", `{"spec":{"replicas":3}}`)
	c.served("one", 3)

	// Metrics and health.
	var at string
	c.until("it serves metrics", func() bool {
		m := address.FindStringSubmatch(operator.output())
		if m != nil {
			at = "http://" + m[1]
		}
		return m != nil
	})
	metrics := get(t, at+"/metrics")
	for _, want := range []string{
		`reckon_controller_leading 1`, `reckon_controller_queue_depth{controller="website-operator"} 0`,
		`reckon_controller_intents_total{controller="website-operator",result="done",verb="create"} 2`,
		`reckon_controller_reconcile_seconds_count{controller="website-operator"}`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s:\n%s", want, metrics)
		}
	}
	for _, check := range []string{"/healthz", "/readyz"} {
		if said := get(t, at+check); said != "ok\n" {
			t.Errorf("%s says %q", check, said)
		}
	}

	// A dry run beside it says what it would do, and does nothing.
	if err := operator.end(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	c.site("two", 1)
	dry := run(t, path, "-credentials", credentials, "-dry-run")
	c.until("the dry run prints its intents", func() bool {
		return strings.Contains(dry.output(), "create deployments.apps/default/two") && strings.Contains(dry.output(), "reported websites.examples.reckon.dev/default/two")
	})
	if c.field("Deployment", "two", "metadata", "name") != "" || strings.Contains(dry.output(), "default/one") {
		t.Errorf("the dry run did something, or says that it would: %s", dry.output())
	}
	if err := dry.end(); err != nil {
		t.Errorf("the dry run ended with %v", err)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// What happens while a controller is dead, cut off or without a server isn't missed.
func TestAnOperatorMissesNothing(t *testing.T) {
	c := startCluster(t)
	path, credentials := build(t, "website"), c.credentials("website-operator")
	c.applyFile("website/manifests.yaml")
	operator := run(t, path, "-credentials", credentials)
	c.site("before", 1)
	c.served("before", 1)

	operator.kill()
	c.site("dead", 1)
	c.patch("Website", "before", `{"spec":{"replicas":2}}`)
	operator = run(t, path, "-credentials", credentials)
	standby := run(t, path, "-credentials", credentials)
	c.served("dead", 1)
	c.served("before", 2)

	far := c.wire.far
	c.wire.cut()
	c.site("cut", 1)
	c.patch("Website", "before", `{"spec":{"replicas":3}}`)
	if err := c.objects("Website").Delete(t.Context(), "dead", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.until("it noticed", func() bool { return strings.Contains(operator.output(), "connection lost") })
	c.wire.to(far)
	c.served("cut", 1)
	c.served("before", 3)

	began := time.Now()
	c.restart()
	c.site("restarted", 1)
	c.patch("Website", "before", `{"spec":{"replicas":4}}`)
	c.served("restarted", 1)
	c.served("before", 4)
	t.Logf("goes on %s after the server's stop", time.Since(began).Round(time.Millisecond))

	// The leader is killed: another replica goes on.
	operator.kill()
	c.site("after", 1)
	c.served("after", 1)
	if err := standby.end(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
