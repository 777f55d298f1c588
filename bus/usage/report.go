package usage

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/reckon-project/reckon/events"
)

const (
	// Every is how often a node tells.
	Every = 15 * time.Second
	// All are the subjects of all nodes.
	All = prefix + "*"

	prefix = "usage."
)

// Report is what a node and its pods used.
type Report struct {
	Time time.Time `json:"time"`
	// Window is what the node's rate was measured over.
	Window time.Duration `json:"window"`
	Use
	Pods []Pod `json:"pods,omitempty"`
}

// Use is what something used.
type Use struct {
	CPU    uint64 `json:"cpu"`    // billionths of a core
	Memory uint64 `json:"memory"` // bytes of the working set
}

// Pod is one pod with the containers that run.
type Pod struct {
	UID        string        `json:"uid"`
	Window     time.Duration `json:"window"`
	Containers []Container   `json:"containers"`
}

// Container is one container's use.
type Container struct {
	Name string `json:"name"`
	Use
}

// Subject is where a node tells.
func Subject(node string) string { return prefix + events.EncodeToken(node) }

// NodeOf gives the node that a subject is of.
func NodeOf(subject string) (string, error) {
	token, ok := strings.CutPrefix(subject, prefix)
	if !ok {
		return "", fmt.Errorf("%w: %q is no subject of a node's usage", events.ErrInvalid, subject)
	}
	return events.DecodeToken(token)
}

// Encode writes a report.
func Encode(r *Report) ([]byte, error) { return json.Marshal(r) }

// Decode reads one.
func Decode(data []byte) (*Report, error) {
	r := &Report{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%w: a node's usage: %v", events.ErrInvalid, err)
	}
	return r, nil
}
