package nodelifecycle

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
)

// Beats remembers when each node was last heard.
type Beats struct {
	bus   bus.Bus
	clock func() time.Time

	mu    sync.Mutex
	since time.Time // listening since
	last  map[string]time.Time
	lost  map[string]bool // nodes whose next beat is news
}

// NewBeats makes a record of heartbeats; it hears them while its controller leads.
func NewBeats(b bus.Bus, clock func() time.Time) *Beats {
	return &Beats{bus: b, clock: clock, last: map[string]time.Time{}, lost: map[string]bool{}}
}

// listen is the controller's source.
func (b *Beats) listen(ctx context.Context, add func(events.Key)) error {
	b.mu.Lock()
	b.since = b.clock()
	b.mu.Unlock()
	defer b.forget()
	err := b.bus.Subscribe(ctx, "beat.*", func(m bus.Message) {
		node, err := events.DecodeToken(strings.TrimPrefix(m.Subject, "beat."))
		if err != nil {
			return
		}
		b.mu.Lock()
		b.last[node] = b.clock()
		news := b.lost[node]
		delete(b.lost, node)
		b.mu.Unlock()
		if news {
			add(controllers.Node.Key("", node))
		}
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// forget leaves nothing to the next leadership: what was heard in an earlier one
// says nothing about how long a node has been silent.
func (b *Beats) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.since = time.Time{}
	clear(b.last)
	clear(b.lost)
}

// Last is when a node was last heard, or when listening began if it wasn't yet.
func (b *Beats) Last(node string) (at time.Time, heard bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at, heard = b.last[node]; heard {
		return at, true
	}
	if b.since.IsZero() { // it is about to begin
		return b.clock(), false
	}
	return b.since, false
}

// await makes the node's next beat news.
func (b *Beats) await(node string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lost[node] = true
}
