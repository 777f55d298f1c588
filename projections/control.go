package projections

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// LogKey names the log itself. The event events.Trimmed, with the data
// {"before": <sequence>}, says up to where the log is removed, before that is
// done. It is an event so that all folds forget the same tombstones at the same
// position: what a fold knows never depends on when somebody else's purge ran.
var LogKey = events.Key{Group: "reckon.dev", Resource: "logs", Name: "log"}

type trim struct {
	Before uint64 `json:"before"`
}

// control applies an event that concerns no object but the fold itself.
func (s *state) control(e *events.Event) error {
	if e.Type == events.Opened {
		return nil
	}
	if e.Prefix != events.PrefixDecision {
		return &events.Void{Why: fmt.Sprintf("%s can't be a %s", e.Type, e.Prefix)}
	}
	if e.Type == events.Elected {
		if e.Component == "" || e.Key != bus.LeaderKey(e.Component) {
			return &events.Void{Why: fmt.Sprintf("%s is not where leaderships of %q are", e.Key, e.Component)}
		}
		epochs := maps.Clone(s.epochs)
		epochs[e.Component] = e.Sequence
		s.epochs = epochs
		return nil
	}
	var t trim
	if err := json.Unmarshal(e.Data, &t); err != nil || e.Key != LogKey {
		return &events.Void{Why: fmt.Sprintf("%s doesn't say where the log is to begin", e.Key)}
	}
	if t.Before <= s.first || t.Before > e.Sequence {
		return &events.Void{Why: fmt.Sprintf("the log begins at %d, it can't be trimmed below %d by event %d", s.first, t.Before, e.Sequence)}
	}
	s.first = t.Before
	s.dropTombs()
	return nil
}

// dropTombs forgets the tombstones whose subject the trimmed log has no event of.
func (s *state) dropTombs() {
	for _, t := range s.tables {
		var drop []string
		t.tombs.Scan(func(key string, o *events.Object) bool {
			if o.Decision < s.first {
				drop = append(drop, key)
			}
			return true
		})
		for _, key := range drop {
			s.table(t.resource).tombs.Delete(key)
		}
	}
}

// trimmedEvent is the event that Projection.Trim and Move append.
func trimmedEvent(before uint64, how, source string, now time.Time) *events.Event {
	return &events.Event{
		Prefix: events.PrefixDecision, Key: LogKey,
		ID: bus.NewID(), Source: source, Type: events.Trimmed, Time: now,
		Reason: "HistoryTrimmed", Note: fmt.Sprintf("the history before position %d is %s", before, how),
		ContentType: events.ContentPatch, Data: fmt.Appendf(nil, `{"before":%d}`, before),
	}
}
