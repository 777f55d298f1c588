package projections

import (
	"sync"
	"time"
)

// expireEvery is how often states kept for a while are looked at while nothing
// is folded; folding looks, too.
const expireEvery = 30 * time.Second

// expirer runs only while there is something that will expire: a cluster in
// which nothing happens lets go of the past states that somebody asked for.
type expirer struct {
	mu    sync.Mutex
	timer *time.Timer
}

// expireLater makes sure that what was kept just now goes in time.
func (p *Projection) expireLater() {
	p.expirer.mu.Lock()
	defer p.expirer.mu.Unlock()
	if p.expirer.timer == nil {
		p.expirer.timer = time.AfterFunc(expireEvery, p.expireNow)
	}
}

func (p *Projection) expireNow() {
	p.expirer.mu.Lock()
	defer p.expirer.mu.Unlock()
	now := p.now()
	past, retained := p.past.expire(now), p.retained.expire(now, p.Snapshot().Position())
	if past+retained > 0 {
		p.expirer.timer.Reset(expireEvery)
		return
	}
	p.expirer.timer = nil
}
