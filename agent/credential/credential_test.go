package credential_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"

	"github.com/reckon-project/reckon/agent/credential"
	"github.com/reckon-project/reckon/events"
)

type tokens struct{}

func (tokens) Token(_ context.Context, p *v1.Pod, audience string, _ int64) (string, time.Time, error) {
	return "token-of-" + p.Spec.ServiceAccountName + "-for-" + audience, time.Time{}, nil
}

// program writes a provider that counts how often it was asked, and answers with the password.
func program(t *testing.T, dir, name, cacheKey, password string) {
	t.Helper()
	text := fmt.Sprintf(`#!/bin/sh
read -r question
echo "$question" >> %s/asked-%s
test "$1" = fail && { echo "no luck" >&2; exit 3; }
echo '{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderResponse","cacheKeyType":"%s","auth":{"*.reg.io":{"username":"u","password":"%s"},"eu.reg.io/team":{"username":"team","password":"'$SECRET'"}}}'
`, dir, name, cacheKey, password)
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil { //nolint:gosec // it is a program
		t.Fatal(err)
	}
}

func asked(t *testing.T, dir, name string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "asked-"+name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

const config = `
apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: first
  matchImages: ["*.reg.io"]
  defaultCacheDuration: 10m
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  env: [{name: SECRET, value: from-env}]
- name: second
  matchImages: ["us.other.io/x"]
  defaultCacheDuration: 0s
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  args: [fail]
- name: third
  matchImages: ["eu.token.reg.io"]
  defaultCacheDuration: 1h
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  tokenAttributes: {serviceAccountTokenAudience: reg, requireServiceAccount: true, cacheType: ServiceAccount}
`

func TestProvidersAreAsked(t *testing.T) {
	dir := t.TempDir()
	program(t, dir, "first", "Registry", "p")
	program(t, dir, "second", "Image", "p")
	program(t, dir, "third", "Global", "p")
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	providers, err := credential.Load(path, dir)
	if err != nil {
		t.Fatal(err)
	}
	clock := testclock.NewFakePassiveClock(time.Unix(1000, 0))
	p := credential.New(providers, dir, tokens{}, clock)
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p"}, Spec: v1.PodSpec{ServiceAccountName: "sa"}}
	get := func(image string) string {
		t.Helper()
		got, err := p.Credentials(t.Context(), pod, image)
		var b strings.Builder
		for _, c := range got {
			fmt.Fprintf(&b, "%s:%s ", c.Auth.Username, c.Auth.Password)
			if c.Account != nil {
				fmt.Fprintf(&b, "(%s) ", c.Account.Name)
			}
		}
		if err != nil {
			b.WriteString("error")
		}
		return strings.TrimSpace(b.String())
	}
	for _, c := range []struct{ image, want string }{
		{"eu.reg.io/team/app:1", "team:from-env u:p"}, {"eu.reg.io/other:1", "u:p"}, {"us.reg.io/other", "u:p"},
		{"nginx", ""}, {"reg.io/a", ""}, {"us.other.io/x/y@sha256:0", "error"}, {"us.other.io/y", ""},
	} {
		if got := get(c.image); got != c.want {
			t.Errorf("for %s: %q, want %q", c.image, got, c.want)
		}
	}
	if n := len(asked(t, dir, "first")); n != 2 {
		t.Errorf("the first provider was asked %d times about two registries", n)
	}
	clock.SetTime(clock.Now().Add(10 * time.Minute))
	get("eu.reg.io/other:1")
	if all := asked(t, dir, "first"); len(all) != 3 || !strings.Contains(all[2], `"image":"eu.reg.io/other"`) {
		t.Errorf("it was asked %q", all)
	}
	get("eu.token.reg.io/a")
	if all := asked(t, dir, "third"); !strings.Contains(all[0], `"serviceAccountToken":"token-of-sa-for-reg"`) {
		t.Errorf("the third one was asked %q", all)
	}
	get("eu.token.reg.io/b")
	pod.Spec.ServiceAccountName = "other"
	get("eu.token.reg.io/b")
	if n := len(asked(t, dir, "third")); n != 2 {
		t.Errorf("the third provider was asked %d times for two accounts", n)
	}
	pod.Spec.ServiceAccountName = ""
	if got := get("eu.token.reg.io/b"); got != "" {
		t.Errorf("without an account: %q", got)
	}
}

func TestBadConfigurations(t *testing.T) {
	dir := t.TempDir()
	program(t, dir, "first", "Image", "p")
	for name, change := range map[string][2]string{
		"kind": {"kind: CredentialProviderConfig", "kind: Pod"}, "version": {"apiVersion: credentialprovider.kubelet.k8s.io/v1", "apiVersion: v1"},
		"path": {"name: first", "name: ../first"}, "missing": {"name: first", "name: none"}, "unknown": {"matchImages", "matchImage"},
	} {
		text, _, _ := strings.Cut(config, "- name: second")
		path := filepath.Join(dir, "config.yaml")
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, change[0], change[1])), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := credential.Load(path, dir); !errors.Is(err, events.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
