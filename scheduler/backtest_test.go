package scheduler

import (
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"

	"github.com/reckon-project/reckon/projections"
)

// recordStory lets the scheduler place pods on four nodes, some of which come and go.
func recordStory(t *testing.T) (p *projections.Projection, h *harness, to uint64) {
	h = newHarness(t, nil)
	for i := range 4 {
		h.do([]string{"node", fmt.Sprintf("n%d", i), "cpu=4", "memory=8Gi"})
	}
	stop := h.start("one")
	defer stop()
	for i := range 12 {
		h.do([]string{"pod", fmt.Sprintf("p%d", i), "cpu=500m", "memory=512Mi"})
		synctest.Wait()
	}
	h.do([]string{"delete", "p3"})
	synctest.Wait()
	h.do([]string{"pod", "wide", "cpu=4"}) // fits nowhere as things are
	synctest.Wait()
	h.do([]string{"node", "n4", "cpu=8", "memory=8Gi"})
	synctest.Wait()
	return h.projection, h, h.projection.Snapshot().Position()
}

func TestBacktestOfTheSameConfigurationMovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, h, to := recordStory(t)
		for _, from := range []uint64{0, 4, 20} {
			b, err := RunBacktest(h.ctx, p, from, to, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(b.Moved) != 0 || b.Same != b.Recorded.Placed || b.Recorded != b.Tried {
				t.Errorf("from %d: %d moved, %d of %d the same\nrecorded %+v\ntried    %+v", from, len(b.Moved), b.Same, b.Recorded.Placed, b.Recorded, b.Tried)
			}
			if from == 0 && (b.Recorded.Placed != 13 || b.Recorded.Waited != 1 || b.Recorded.Waiting != 0) {
				t.Errorf("recorded %+v", b.Recorded)
			}
		}
	})
}

func TestBacktestOfMostAllocatedPacks(t *testing.T) {
	config, err := ParseConfig([]byte(configHead + `
profiles:
- plugins:
    multiPoint:
      disabled: [{name: PodTopologySpread}, {name: NodeResourcesBalancedAllocation}]
  pluginConfig:
  - name: NodeResourcesFit
    args: {scoringStrategy: {type: MostAllocated}}
`))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		p, h, to := recordStory(t)
		var reached uint64
		b, err := RunBacktest(h.ctx, p, 0, to, config, func(at uint64) { reached = at })
		if err != nil {
			t.Fatal(err)
		}
		if reached != to {
			t.Errorf("progress ended at %d of %d", reached, to)
		}
		// Twelve pods of half a core fill two nodes of eight half cores, so the wide one needn't wait.
		if b.Tried.MostNodes != 3 || b.Recorded.MostNodes < 4 || b.Tried.Waited != 0 || b.Recorded.Waited != 1 {
			t.Errorf("recorded %+v\ntried    %+v", b.Recorded, b.Tried)
		}
		if b.Tried.CPU <= b.Recorded.CPU {
			t.Errorf("packed nodes are used to %.2f, spread ones to %.2f", b.Tried.CPU, b.Recorded.CPU)
		}
		if b.Same+len(b.Moved) != 13 || len(b.Moved) == 0 {
			t.Errorf("%d the same, %d moved of 13", b.Same, len(b.Moved))
		}
		again, err := RunBacktest(h.ctx, p, 0, to, config, nil)
		if err != nil || !reflect.DeepEqual(again, b) {
			t.Errorf("a second run differs: %+v, %v", again, err)
		}
	})
}
