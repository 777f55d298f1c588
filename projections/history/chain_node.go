package history

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/reckon-project/reckon/events"
)

func number(sequence uint64) string { return strconv.FormatUint(sequence, 10) }

// node describes an event by what it says itself: it isn't folded.
func (c *chain) node(e *events.Event) *Node {
	n := &Node{Sequence: e.Sequence, Time: e.Time, Object: RefTo(e.Key), Type: e.Type}
	if c.may != nil && e.Key != c.life.Object.Key() && !c.may(e.Key) {
		n.Object, n.Hidden = Ref{Resource: e.Key.Resource}, true
		return n
	}
	n.By, n.ByUser, n.Verb, n.Trace = By(e), byUser(e.Actor, e.Source), e.Verb, e.Traceparent
	if i, ok := slices.BinarySearchFunc(c.life.Steps, e.Sequence, func(s Step, at uint64) int {
		switch {
		case s.Sequence < at:
			return -1
		case s.Sequence > at:
			return 1
		}
		return 0
	}); ok {
		n.Void = c.life.Steps[i].Void
	}
	n.Says = says(e)
	return n
}

// says puts into words what an event says about itself.
func says(e *events.Event) []string {
	var out []string
	if creates(e) {
		if value, err := events.DecodeObject(e.Data); err == nil {
			if s := Summary(value); s != "" && !strings.HasPrefix(e.Note, s) {
				out = append(out, s)
			}
		}
	}
	for _, step := range e.Steps() {
		switch {
		case classified[step.Reason] && step.Note == "":
		case classified[step.Reason]:
			out = append(out, step.Note)
		case step.Note == "":
			out = append(out, step.Reason)
		default:
			out = append(out, step.Reason+": "+step.Note)
		}
	}
	if len(out) == 0 && e.ContentType == events.ContentPatch {
		if s := statusWords(e.Data); s != "" {
			out = append(out, s)
		}
	}
	return append(out, weighed(e.Why)...)
}

// statusShown is how many fields of a status are put into words.
const statusShown = 4

// statusWords says what a patch of status sets: "phase Running, Ready is True".
func statusWords(patch []byte) string {
	var p struct {
		Status map[string]any `json:"status"`
	}
	if err := json.Unmarshal(patch, &p); err != nil {
		return ""
	}
	var out []string
	for _, k := range unionKeys(p.Status, nil) {
		switch v := p.Status[k].(type) {
		case string, float64, bool:
			if !noise("status." + k) {
				out = append(out, fmt.Sprintf("%s %v", k, v))
			}
		case []any:
			if k != "conditions" {
				continue
			}
			for _, c := range v {
				if m, ok := c.(map[string]any); ok && m["status"] != nil {
					out = append(out, fmt.Sprintf("%v is %v", m["type"], m["status"]))
				}
			}
		}
	}
	if len(out) > statusShown {
		out = append(out[:statusShown], fmt.Sprintf("and %d more", len(out)-statusShown))
	}
	return strings.Join(out, ", ")
}

// weighed puts into words what the scheduler weighed: how many nodes fit, which
// filters refused how many, and the scores of the node chosen.
func weighed(why string) []string {
	var w struct {
		Nodes    *int           `json:"nodes"`
		Feasible int            `json:"feasible"`
		Refused  map[string]int `json:"refused"`
		Scores   map[string]int `json:"scores"`
	}
	if why == "" || json.Unmarshal([]byte(why), &w) != nil || w.Nodes == nil {
		if why != "" {
			return []string{"weighed: " + why}
		}
		return nil
	}
	line := fmt.Sprintf("%d of %d %s fit", w.Feasible, *w.Nodes, plural(*w.Nodes, "node"))
	if len(w.Refused) > 0 {
		line += "; refused by " + counts(w.Refused)
	}
	out := []string{line}
	if len(w.Scores) > 0 {
		out = append(out, "scores of the node chosen: "+counts(w.Scores))
	}
	return out
}

func counts(m map[string]int) string {
	var parts []string
	for _, k := range unionKeys(m, nil) {
		parts = append(parts, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(parts, ", ")
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
