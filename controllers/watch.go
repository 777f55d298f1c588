package controllers

import (
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Self maps a change to the changed object.
func Self(_ *projections.Snapshot, c projections.Change, add func(events.Key)) { add(KeyOf(c)) }

// KeyOf is the key of the changed object.
func KeyOf(c projections.Change) events.Key {
	switch {
	case c.New != nil:
		return c.New.Key
	case c.Old != nil:
		return c.Old.Key
	}
	return c.Event.Key
}
