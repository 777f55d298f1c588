// Package structure holds the tree to the design's import direction.
package structure

import (
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/reckon-project/reckon/"

// What a package under a folder may import of the project, and which foreign
// packages only that folder may import (design, section 1).
var (
	mayImport = map[string][]string{
		"events":      {"events"},
		"bus":         {"events", "bus"},
		"projections": {"events", "bus", "projections"},
		"scheduler":   {"events", "bus", "projections", "scheduler"},
		"controllers": {"events", "bus", "projections", "controllers"},
		"agent":       {"events", "bus", "projections", "agent"},
		"gateway":     {"events", "bus", "projections", "gateway"},
	}
	onlyIn = map[string][]string{
		"k8s.io/kubernetes/":                {"gateway", "cmd"},
		"github.com/nats-io/":               {"bus"},
		"github.com/containerd/containerd/": {"agent"},
		"github.com/coreos/go-iptables/":    {"agent"},
		"k8s.io/cri-api/":                   {"agent"},
	}
)

func TestImportsGoOneWay(t *testing.T) {
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) < 5 {
		t.Fatalf("go list found only %d packages", len(lines))
	}
	for _, line := range lines {
		fields := strings.Fields(line)
		room := roomOf(fields[0])
		for _, imported := range fields[1:] {
			if allowed, ok := mayImport[room]; ok && strings.HasPrefix(imported, module) && !contains(allowed, roomOf(imported)) {
				t.Errorf("%s imports %s: %s may import only %s", fields[0], imported, room, strings.Join(allowed, ", "))
			}
			for prefix, rooms := range onlyIn {
				if strings.HasPrefix(imported, prefix) && !contains(rooms, room) {
					t.Errorf("%s imports %s: only %s may", fields[0], imported, strings.Join(rooms, ", "))
				}
			}
		}
	}
}

// roomOf is the top-level folder of a package of this module.
func roomOf(path string) string {
	room, _, _ := strings.Cut(strings.TrimPrefix(path, module), "/")
	return room
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}
