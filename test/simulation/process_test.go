package simulation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// process is a part of the cluster that can be killed and started again.
type process struct {
	net   *network
	name  string
	start func(ctx context.Context, p *process) // starts goroutines with p.group
	group *sync.WaitGroup

	stop  context.CancelFunc
	ended chan struct{} // closed when all its goroutines have returned
	fails func(error)
	down  bool
}

// run starts the process.
func (p *process) run() {
	ctx, cancel := context.WithCancel(background)
	p.group, p.stop, p.ended, p.down = &sync.WaitGroup{}, cancel, make(chan struct{}), false
	p.start(ctx, p)
	group, ended := p.group, p.ended
	go func() {
		group.Wait()
		close(ended)
	}()
}

// goes runs one part of the process.
func (p *process) goes(ctx context.Context, what string, f func(context.Context) error) {
	p.group.Go(func() {
		if err := f(ctx); ctx.Err() == nil {
			p.fails(fmt.Errorf("%s of %s ended: %w", what, p.name, cause(err)))
		}
	})
}

func cause(err error) error {
	if err == nil {
		return errors.New("without an error")
	}
	return err
}

// kill takes the process away at once: what it had under way may still arrive.
func (p *process) kill(clean bool) {
	n := p.net
	n.mu.Lock()
	for _, c := range n.conns {
		if p.owns(c) {
			c.dead = true
			c.puts = nil
		}
	}
	for _, l := range n.leases {
		if !clean && l.holder == p.name {
			l.term++
			n.free(l, leaseTTL)
		}
	}
	n.mu.Unlock()
	p.down = true
	p.stop()
}

func (p *process) owns(c *conn) bool {
	return c.name == p.name || strings.HasPrefix(c.name, p.name+"/")
}

// restart kills the process and starts it again after a while.
func (p *process) restart(after time.Duration, clean bool) {
	if p.down {
		return
	}
	p.net.say("       %s is killed, for %s", p.name, after)
	p.kill(clean)
	p.net.later(after, "start "+p.name, p.again)
}

func (p *process) again() {
	select {
	case <-p.ended:
		p.net.say("       %s starts again", p.name)
		p.run()
	default: // something of it still waits for its time
		p.net.later(time.Second, "start "+p.name, p.again)
	}
}

// outage cuts the process off from the bus for a while.
func (p *process) outage(d time.Duration) {
	if p.down {
		return
	}
	p.net.say("       %s is cut off for %s", p.name, d)
	p.cut(true)
	p.net.later(d, "reconnect "+p.name, func() {
		p.net.say("       %s is connected again", p.name)
		p.cut(false)
	})
}

func (p *process) cut(cut bool) {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	for _, c := range p.net.conns {
		if p.owns(c) && !c.dead {
			c.cut = cut
		}
	}
	if !cut {
		for _, w := range p.net.feed.watchers {
			if p.owns(w.conn) {
				p.net.present(w) // it comes back to everything
			}
		}
		for _, f := range p.net.followers {
			p.net.deliver(f)
		}
	}
}
