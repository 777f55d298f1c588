package simulation

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/reckon-project/reckon/bus"
)

// leaseTTL is how long nobody leads after a leader that didn't release.
const leaseTTL = 10 * time.Second

// lease is one component's leadership.
type lease struct {
	component  string
	holder     string // "": free
	term       uint64
	cancel     context.CancelFunc
	candidates []*candidate
	freeFrom   time.Time
	electing   bool
}

type candidate struct {
	conn    *conn
	holder  string
	ctx     context.Context
	elected chan bus.Leadership
}

// Lead waits for its turn among the candidates.
func (c *conn) Lead(ctx context.Context, component, holder string) (bus.Leadership, error) {
	me := &candidate{conn: c, holder: holder, ctx: ctx, elected: make(chan bus.Leadership, 1)}
	c.mu.Lock()
	l := c.leases[component]
	if l == nil {
		l = &lease{component: component}
		c.leases[component] = l
	}
	l.candidates = append(l.candidates, me)
	select {
	case c.news <- struct{}{}:
	default:
	}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		l.candidates = slices.DeleteFunc(l.candidates, func(o *candidate) bool { return o == me })
	}()
	select {
	case lead := <-me.elected:
		return lead, nil
	case <-ctx.Done():
		return bus.Leadership{}, ctx.Err()
	}
}

// elect queues an election for each lease that is free and wanted; n.mu is held.
func (n *network) elect() {
	for _, component := range slices.Sorted(maps.Keys(n.leases)) {
		l := n.leases[component]
		if l.holder != "" || l.electing || len(l.candidates) == 0 {
			continue
		}
		l.electing = true
		n.submit("elect "+component, l.freeFrom, func(nth uint64) { n.decideElection(l, nth) })
	}
}

func (n *network) decideElection(l *lease, nth uint64) {
	n.mu.Lock()
	l.electing = false
	if len(l.candidates) == 0 {
		n.mu.Unlock()
		return
	}
	slices.SortFunc(l.candidates, func(a, b *candidate) int { return cmpNames(a.holder, b.holder) })
	winner := l.candidates[n.chance("vote", l.component, nth)%uint64(len(l.candidates))]
	l.term++
	term := l.term
	l.holder = winner.holder
	n.mu.Unlock()

	seqs, err := n.append([]bus.Entry{{Event: bus.ElectedEvent(l.component, winner.holder, time.Now())}})
	if err != nil {
		panic(err) // it has no expectation
	}
	ctx, cancel := context.WithCancel(winner.ctx)
	release := sync.OnceFunc(func() {
		cancel()
		n.mu.Lock()
		defer n.mu.Unlock()
		if l.term == term {
			n.free(l, 0)
		}
	})
	n.mu.Lock()
	l.cancel = cancel
	n.mu.Unlock()
	context.AfterFunc(ctx, release)
	winner.elected <- bus.Leadership{Component: l.component, Epoch: seqs[0], Context: ctx, Release: release}
}

// free lets somebody else lead after a while; n.mu is held.
func (n *network) free(l *lease, after time.Duration) {
	l.holder, l.freeFrom = "", time.Now().Add(after)
	select {
	case n.news <- struct{}{}:
	default:
	}
}

// depose takes a component's lease away. The leader learns of it only after a
// while, and acts until then.
func (n *network) depose(component string, unaware time.Duration) {
	n.mu.Lock()
	l := n.leases[component]
	if l == nil || l.holder == "" {
		n.mu.Unlock()
		return
	}
	n.say("       %s no longer leads %s, and learns of it in %s", l.holder, component, unaware)
	cancel := l.cancel
	l.term++
	n.free(l, 0)
	n.mu.Unlock()
	n.later(unaware, "unaware "+component, cancel)
}
