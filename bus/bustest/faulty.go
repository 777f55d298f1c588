package bustest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// Fault is what goes wrong with one append.
type Fault int

const (
	// Healthy appends go through.
	Healthy Fault = iota
	// NotStored fails before the effect.
	NotStored
	// Unanswered fails after the effect: the event is stored, and its writer is
	// told that the outcome could not be learnt.
	Unanswered
	// Late stores at once and answers after Delay.
	Late
	// Twice stores an event without an expectation a second time, as a report
	// that is sent again.
	Twice
)

// Delay is how late a Late answer is.
const Delay = 5 * time.Millisecond

// Faulty gives b's logs faults: choose says which one the n-th append (from 1)
// suffers, on both logs together. Appends keep their order.
func Faulty(b bus.Bus, choose func(n int, e bus.Entry) Fault) bus.Bus {
	return &faulty{Bus: b, choose: choose}
}

type faulty struct {
	bus.Bus
	choose func(int, bus.Entry) Fault

	mu sync.Mutex
	n  int
}

func (f *faulty) Log() bus.Log      { return &faultyLog{f.Bus.Log(), f} }
func (f *faulty) Volatile() bus.Log { return &faultyLog{f.Bus.Volatile(), f} }

func (f *faulty) next(e bus.Entry) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	return f.choose(f.n, e)
}

type faultyLog struct {
	bus.Log
	f *faulty
}

func (l *faultyLog) Append(ctx context.Context, e bus.Entry) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return l.Start(e).Wait(ctx)
}

func (l *faultyLog) Start(e bus.Entry) *bus.Pending {
	fault := l.f.next(e)
	switch {
	case fault == NotStored:
		p, complete := bus.NewPending()
		complete(0, fmt.Errorf("append to %s: %w: not stored, a fault was put in", e.Event.Subject(), events.ErrUnavailable))
		return p
	case fault == Healthy, fault == Twice && e.Expect != nil:
		return l.Log.Start(e)
	}
	inner := l.Log.Start(e)
	if fault == Twice {
		l.Log.Start(e)
		return inner
	}
	p, complete := bus.NewPending()
	go func() { // ends with the append
		<-inner.Done()
		seq, err := inner.Wait(context.Background())
		switch {
		case err != nil:
			complete(0, err)
		case fault == Unanswered:
			complete(0, fmt.Errorf("append to %s: %w: the outcome could not be learnt, a fault was put in", e.Event.Subject(), events.ErrUnavailable))
		default:
			<-time.After(Delay)
			complete(seq, nil)
		}
	}()
	return p
}

// AppendBatch suffers one fault as a whole.
func (l *faultyLog) AppendBatch(ctx context.Context, batch []bus.Entry) ([]uint64, error) {
	if len(batch) == 0 {
		return l.Log.AppendBatch(ctx, batch)
	}
	fault := l.f.next(batch[0])
	if fault == NotStored {
		return nil, fmt.Errorf("append a batch: %w: not stored, a fault was put in", events.ErrUnavailable)
	}
	seqs, err := l.Log.AppendBatch(ctx, batch)
	switch {
	case err == nil && fault == Unanswered:
		return nil, fmt.Errorf("append a batch: %w: the outcome could not be learnt, a fault was put in", events.ErrUnavailable)
	case err == nil && fault == Late:
		<-time.After(Delay)
	}
	return seqs, err
}
