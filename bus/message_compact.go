package bus

import (
	"bytes"
	"hash/maphash"

	"github.com/reckon-project/reckon/events"
)

// compactor has events hold nothing of the messages that they came in: an event
// that is kept would keep its whole message, several times as large, in memory.
// What events say again and again (who, why, about what) they share.
type compactor struct {
	seed    maphash.Seed
	strings [1 << 11]string
}

const maxShared = 256 // bytes of a text that is shared

func newCompactor() *compactor { return &compactor{seed: maphash.MakeSeed()} }

func (c *compactor) compact(e *events.Event) {
	e.Data = bytes.Clone(e.Data)
	for _, s := range [...]*string{
		&e.Prefix, &e.Reporter, &e.Key.Group, &e.Key.Resource, &e.Key.Namespace, &e.Key.Name, &e.ID, &e.Source, &e.Type,
		&e.Traceparent, &e.Actor, &e.Reason, &e.Note, &e.Why, &e.Verb, &e.Component, &e.UID, &e.ContentType,
	} {
		*s = c.string(*s)
	}
}

// string is s in memory of its own, perhaps of one that was equal.
func (c *compactor) string(s string) string {
	switch {
	case s == "":
		return ""
	case len(s) > maxShared:
		return string([]byte(s))
	}
	slot := &c.strings[maphash.String(c.seed, s)>>(64-11)]
	if *slot != s {
		*slot = string([]byte(s))
	}
	return *slot
}
