package controllers

import (
	"fmt"
	"strings"
	"sync"

	"github.com/reckon-project/reckon/events"
)

// printing keeps the lines of several workers apart.
var printing sync.Mutex

// print tells what would be carried out for a key. What it told last isn't told
// again: nothing is carried out, so each change leads to the same.
func (t *term) print(c *Controller, k events.Key, intents []Intent) {
	var lines strings.Builder
	for _, i := range intents {
		fmt.Fprintf(&lines, "%s: %s", c.name, describeIntent(i))
		if i.Object != nil {
			if data, err := events.EncodeObject(i.Object); err == nil {
				fmt.Fprintf(&lines, " %s", data)
			}
		}
		if i.Reason != "" {
			fmt.Fprintf(&lines, " (%s: %s)", i.Reason, i.Note)
		}
		lines.WriteByte('\n')
	}
	type of struct {
		controller string
		key        events.Key
	}
	if len(intents) == 0 {
		t.printed.Delete(of{c.name, k})
		return
	}
	if before, _ := t.printed.Swap(of{c.name, k}, lines.String()); before == lines.String() {
		return
	}
	printing.Lock()
	defer printing.Unlock()
	if _, err := fmt.Fprint(t.DryRun, lines.String()); err != nil {
		t.Logger.Warn("tell what would be carried out", "error", err)
	}
}
