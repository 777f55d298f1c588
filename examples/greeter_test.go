package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// compile installs what the TypeScript example needs into a folder of the
// test's own, and compiles it there.
func compile(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"greeter.ts", "package.json", "package-lock.json", "tsconfig.json"} {
		data, err := os.ReadFile(filepath.Join("greeter", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"npm", "ci", "--no-audit", "--no-fund"}, {"npx", "tsc"}} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v (apt-get install nodejs npm, if they are missing)\n%s", strings.Join(args, " "), err, out)
		}
	}
	return filepath.Join(dir, "dist", "greeter.js")
}

// A controller in another language, which knows nothing but NATS.
func TestGreeter(t *testing.T) {
	c := startCluster(t)
	script, credentials := compile(t), c.credentials("greeter")
	c.applyFile("greeter/manifests.yaml")
	c.applyFile("greeter/greeting.yaml")
	greeter := run(t, "node", script, credentials)
	greets := func(name, message string) {
		t.Helper()
		c.until(message, func() bool {
			return c.field("ConfigMap", "greeting-"+name, "data", "message") == message && c.field("Greeting", name, "status", "message") == message
		})
	}
	greets("morning", "Good morning, sailor!")
	c.apply([]byte(`{"apiVersion":"examples.reckon.dev/v1","kind":"Greeting","metadata":{"name":"evening"},"spec":{}}`))
	greets("evening", "Good evening, world!")
	c.patch("Greeting", "evening", `{"spec":{"whom":"captain"}}`)
	greets("evening", "Good evening, captain!")
	if err := c.objects("ConfigMap").Delete(t.Context(), "greeting-morning", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	greets("morning", "Good morning, sailor!")

	greeter.kill()
	c.patch("Greeting", "morning", `{"spec":{"whom":"mate"}}`)
	greeter = run(t, "node", script, credentials)
	greets("morning", "Good morning, mate!")
	c.restart()
	c.patch("Greeting", "morning", `{"spec":{"whom":"cook"}}`)
	greets("morning", "Good morning, cook!")
	if err := greeter.end(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
