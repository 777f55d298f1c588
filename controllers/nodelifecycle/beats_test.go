package nodelifecycle

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
)

// TestEarlierTermsBeatsAreForgotten: between two leaderships of a process nodes
// beat for others to hear, and mustn't seem silent when it leads again.
func TestEarlierTermsBeatsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(time.Now)
		beats := NewBeats(b, time.Now)
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- beats.listen(ctx, func(events.Key) {}) }()
		synctest.Wait()
		if err := b.Publish("beat.n1", nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, heard := beats.Last("n1"); !heard {
			t.Fatal("it wasn't heard")
		}
		beats.await("n2")
		end()
		<-ended
		<-time.After(time.Minute)
		if at, heard := beats.Last("n1"); heard || time.Since(at) > 0 {
			t.Errorf("before it listens again, n1 has been silent for %s (heard: %t)", time.Since(at), heard)
		}
		if len(beats.lost) != 0 {
			t.Errorf("it still waits for %v", beats.lost)
		}
	})
}
