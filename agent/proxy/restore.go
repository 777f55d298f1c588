package proxy

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"

	"k8s.io/apimachinery/pkg/types"
)

// script is the input of one iptables-restore. It knows which service each line is for.
type script struct {
	bytes.Buffer
	owners []types.NamespacedName // by line
}

func (s *script) line(owner types.NamespacedName, parts ...string) {
	for _, p := range parts {
		s.WriteString(p)
	}
	s.WriteByte('\n')
	s.owners = append(s.owners, owner)
}

// refused is a failed restore. Nothing was changed by it.
type refused struct {
	owner types.NamespacedName // of the line that failed, zero if that isn't known
	text  string
}

func (r *refused) Error() string { return "iptables-restore: " + r.text }

var failedLine = regexp.MustCompile(`line:? ?(\d+)`)

// restore applies a script: all of it or nothing.
func restore(ctx context.Context, s *script) error {
	cmd := exec.CommandContext(ctx, "iptables-restore", "-w", "10", "--noflush")
	cmd.Stdin = bytes.NewReader(s.Bytes())
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	r := &refused{text: fmt.Sprintf("%v: %s", err, bytes.TrimSpace(out))}
	if m := failedLine.FindSubmatch(out); m != nil {
		if n, err := strconv.Atoi(string(m[1])); err == nil && n >= 1 && n <= len(s.owners) {
			r.owner = s.owners[n-1]
		}
	}
	return r
}
