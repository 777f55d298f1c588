package report

import (
	"github.com/reckon-project/reckon/events"
)

// Fact is one report about an object: the status fields that the agent owns.
type Fact struct {
	Key    events.Key
	UID    string
	Patch  []byte // {"status":{…}}
	Reason string
	Note   string
	Cause  []uint64

	Traceparent string
	// Told is called with the fact's sequence once it is in the log, by the
	// reporter's goroutine and never before Report has returned; it may be nil. It
	// isn't called for what an earlier start left on disk.
	Told func(sequence uint64)
}
