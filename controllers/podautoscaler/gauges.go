package podautoscaler

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/events"
)

// atOnce is how many autoscalers' questions are asked at the same time.
const atOnce = 8

// gauges ask the metrics APIs what the autoscalers need to know, and keep what
// is remembered of each.
type gauges struct {
	api   http.RoundTripper
	clock func() time.Time
	wake  chan struct{}

	mu       sync.Mutex
	asked    map[events.Key]*asked
	memories map[events.Key]*memory
}

// asked is what one autoscaler wants to know, and when.
type asked struct {
	key       events.Key
	uid       types.UID
	spec      autoscalingv2.HorizontalPodAutoscalerSpec
	questions []question
	due       time.Time
	running   bool
	round     *round // that nobody took yet
}

// round is the answers to all questions at one time.
type round struct{ answers map[question]answer }

func newGauges(api http.RoundTripper, clock func() time.Time) *gauges {
	return &gauges{api: api, clock: clock, wake: make(chan struct{}, 1), asked: map[events.Key]*asked{}, memories: map[events.Key]*memory{}}
}

// memoryOf is what is remembered of the autoscaler with this uid.
func (g *gauges) memoryOf(key events.Key, uid types.UID) *memory {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.memories[key]
	if m == nil || m.uid != uid {
		m = &memory{uid: uid}
		g.memories[key] = m
	}
	return m
}

// forget drops all about an autoscaler that is gone.
func (g *gauges) forget(key events.Key) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.asked, key)
	delete(g.memories, key)
}

// take gives a round of answers that was not taken yet, nil if there is none; then, or
// a period after it, the questions are asked and the autoscaler is reconciled again.
func (g *gauges) take(key events.Key, uid types.UID, spec autoscalingv2.HorizontalPodAutoscalerSpec, questions []question) *round {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.asked[key]
	if a == nil || a.uid != uid || !apiequality.Semantic.DeepEqual(a.spec, spec) {
		g.asked[key] = &asked{key: key, uid: uid, spec: spec, questions: questions, due: g.clock()}
		g.woken()
		return nil
	}
	a.questions = questions
	r := a.round
	if r == nil {
		return nil
	}
	a.round = nil
	for _, q := range questions {
		if _, ok := r.answers[q]; !ok { // what is to be known changed meanwhile
			a.due = g.clock()
			g.woken()
			return nil
		}
	}
	return r
}

func (g *gauges) woken() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// run asks what is due until ctx ends. It is the controller's source.
func (g *gauges) run(ctx context.Context, add func(events.Key)) error {
	var group errgroup.Group
	group.SetLimit(atOnce)
	defer func() {
		group.Wait() //nolint:errcheck // they return none
		g.mu.Lock()
		defer g.mu.Unlock()
		clear(g.asked)
		clear(g.memories)
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		due, next := g.due()
		for _, a := range due {
			group.Go(func() error {
				if g.measure(ctx, a) {
					add(a.key)
				}
				return nil
			})
		}
		timer.Stop()
		if next >= 0 {
			timer.Reset(next)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-g.wake:
		case <-timer.C:
		}
	}
}

// due gives what is to be asked now, and how long it is to the next (below 0: there
// is none). Each is due again a period later.
func (g *gauges) due() (due []*asked, next time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock()
	next = -1
	for _, a := range g.asked {
		if !a.due.After(now) {
			a.due = now.Add(period)
			if !a.running {
				a.running = true
				due = append(due, a)
			}
		}
		if left := a.due.Sub(now); next < 0 || left < next {
			next = left
		}
	}
	slices.SortFunc(due, func(a, b *asked) int { return strings.Compare(a.key.String(), b.key.String()) })
	return due, next
}

// measure asks all questions of one autoscaler; it reports whether somebody
// still waits for the answers.
func (g *gauges) measure(ctx context.Context, a *asked) bool {
	g.mu.Lock()
	questions := a.questions
	g.mu.Unlock()
	r := &round{answers: make(map[question]answer, len(questions))}
	for _, q := range questions {
		if _, twice := r.answers[q]; !twice {
			r.answers[q] = g.ask(ctx, q)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	a.running, a.round = false, r
	return g.asked[a.key] == a
}
