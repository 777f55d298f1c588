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
}
