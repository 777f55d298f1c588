package main

import (
	"testing"

	"github.com/spf13/cobra"

	"github.com/reckon-project/reckon/events"
)

// TestQuestion: an object and a field as people write them.
func TestQuestion(t *testing.T) {
	t.Setenv("KUBECONFIG", t.TempDir()+"/none")
	web := events.Key{Group: "apps", Resource: "deployments", Namespace: "default", Name: "web"}
	for _, c := range []struct {
		args  []string
		flag  string
		key   events.Key
		field string
	}{
		{args: []string{"deploy/web"}, key: web},
		{args: []string{"deployments.apps", "web"}, key: web},
		{args: []string{"deploy/prod/web"}, key: events.Key{Group: "apps", Resource: "deployments", Namespace: "prod", Name: "web"}},
		{args: []string{"deploy/web.spec.replicas"}, key: web, field: "spec.replicas"},
		{args: []string{"deploy/web.spec"}, key: web, field: "spec"},
		{args: []string{"deploy", "web", ".spec.template.spec.containers[web].image"}, key: web, field: "spec.template.spec.containers[web].image"},
		{args: []string{"deploy", "web.metadata.annotations[example.com/x]"}, key: web, field: "metadata.annotations[example.com/x]"},
		{args: []string{"no/n1.example.com"}, key: events.Key{Resource: "nodes", Name: "n1.example.com"}},
		{args: []string{"no/n1.example.com.status.phase"}, key: events.Key{Resource: "nodes", Name: "n1.example.com"}, field: "status.phase"},
		{args: []string{"cm/app.spec.x"}, flag: "data[a.b]", key: events.Key{Resource: "configmaps", Namespace: "default", Name: "app.spec.x"}, field: "data[a.b]"},
	} {
		h := historyFlags(&cobra.Command{})
		s, query, err := h.question(c.args, c.flag)
		if err != nil || s.key != c.key || query.Get("field") != c.field {
			t.Errorf("%q: %v %q, %v, want %v %q", c.args, s.key, query.Get("field"), err, c.key, c.field)
		}
	}
	for _, args := range [][]string{{"deploy"}, {"deploy/"}, {"/web"}, {"a/b/c/d"}, {"deploy", "a/b"}} {
		h := historyFlags(&cobra.Command{})
		if s, _, err := h.question(args, ""); err == nil {
			t.Errorf("%q: %v, want an error", args, s.key)
		}
	}
}
