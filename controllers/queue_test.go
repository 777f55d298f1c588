package controllers

import (
	"fmt"
	"testing"
	"time"
)

// However much happens to few objects, the queue holds each once, and of what
// led there the newest only.
func TestAQueueGrowsByKeysNotByChanges(t *testing.T) {
	q := newQueue(New("test"), time.Now)
	defer q.shutDown()
	const keys, changes = 100, 100_000
	for n := range uint64(changes) {
		k := ConfigMap.Key("default", fmt.Sprint(n%keys))
		q.note(k, n+1, "", n%3 == 0)
		q.addNoted()
		q.keys.AddAfter(k, time.Hour)
	}
	if q.keys.Len() != keys || len(q.state) != keys {
		t.Errorf("%d keys wait, %d are remembered, after %d changes of %d", q.keys.Len(), len(q.state), changes, keys)
	}
	for k, s := range q.state {
		if len(s.because.events) > maxCause {
			t.Errorf("%s remembers %d events", k, len(s.because.events))
		}
	}
	// What is reconciled without more to come is forgotten.
	for range keys {
		k, _ := q.keys.Get()
		q.begin(k)
		q.end(k, because{}, 0, nil, never)
		q.keys.Forget(k)
		q.keys.Done(k)
	}
	if q.keys.Len() != 0 || len(q.state) != 0 {
		t.Errorf("%d keys wait, %d are remembered, when all is done", q.keys.Len(), len(q.state))
	}
}
