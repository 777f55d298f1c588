package examples_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// An operator written with controller-runtime runs over the bus as it is.
func TestGuestbook(t *testing.T) {
	c := startCluster(t)
	path, credentials := build(t, "guestbook"), c.credentials("guestbook")
	c.applyFile("guestbook/manifests.yaml")
	leader := run(t, path, "-credentials", credentials)
	kept := func(text, pages string) {
		t.Helper()
		c.until("the guestbook is kept: "+text, func() bool {
			return c.field("ConfigMap", "guestbook-hall", "data", "text") == text && c.field("Guestbook", "hall", "status", "pages") == pages
		})
	}
	c.apply([]byte(`{"apiVersion":"examples.reckon.dev/v1","kind":"Guestbook","metadata":{"name":"hall"},"spec":{"entries":["ahoy"]}}`))
	kept("ahoy", "1")
	holder := c.field("Lease", "guestbook", "spec", "holderIdentity")
	if holder == "" {
		t.Error("nobody holds the lease")
	}
	c.patch("Guestbook", "hall", `{"spec":{"entries":["ahoy","land"]}}`)
	kept("ahoy\nland", "2")
	if err := c.objects("ConfigMap").Delete(t.Context(), "guestbook-hall", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	kept("ahoy\nland", "2")

	// Another replica takes over from one that is killed.
	standby := run(t, path, "-credentials", credentials)
	leader.kill()
	c.patch("Guestbook", "hall", `{"spec":{"entries":["ahoy","land","storm"]}}`)
	kept("ahoy\nland\nstorm", "3")
	if now := c.field("Lease", "guestbook", "spec", "holderIdentity"); now == holder {
		t.Errorf("%s holds the lease after it was killed", now)
	}
	if err := standby.end(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
