package main

import (
	"testing"
	"time"
)

func TestParseHistory(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30d": 30 * 24 * time.Hour, "12h": 12 * time.Hour, "forever": 0,
	} {
		if got, err := parseHistory(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0d", "-1d", "x", "0s", "1.5d"} {
		if got, err := parseHistory(text); err == nil {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
}

func TestParseObject(t *testing.T) {
	for text, want := range map[string]string{
		"deploy/web":                 "deployments.apps/default/web",
		"Deployment/web":             "deployments.apps/default/web",
		"po/prod/web-1":              "pods/prod/web-1",
		"ev/x":                       "events/default/x",
		"ingress/x":                  "ingresses.networking.k8s.io/default/x",
		"no/n1":                      "nodes/n1",
		"clusterroles/admin":         "clusterroles.rbac.authorization.k8s.io/admin",
		"crd/widgets.example.com":    "customresourcedefinitions.apiextensions.k8s.io/widgets.example.com",
		"widgets.example.com/prod/w": "widgets.example.com/prod/w",
		"leases/kube-system/x":       "leases.coordination.k8s.io/kube-system/x",
		"deployments.apps/web":       "deployments.apps/default/web",
	} {
		k, err := parseObject(text, "default")
		if err != nil || k.String() != want {
			t.Errorf("%s: %s, %v; want %s", text, k, err, want)
		}
	}
	for _, text := range []string{"web", "frob/web", "po/", "a/b/c/d", ""} {
		if k, err := parseObject(text, "default"); err == nil {
			t.Errorf("%q is taken as %s", text, k)
		}
	}
}
