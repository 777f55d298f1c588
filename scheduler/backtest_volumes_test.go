package scheduler

import (
	"strings"
	"testing"
	"testing/synctest"
)

// Claims that come, are bound and are used by one pod after the other during a
// backtest lead to the same nodes.
func TestBacktestWithClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		stop := h.start("one")
		defer stop()
		for line := range strings.Lines(`node n1 cpu=4 memory=8Gi
node n2 cpu=4 memory=8Gi
class late by=disk.example.com binds=late
class now by=disk.example.com
pod early claim=slow
claim slow class=now
volume v1 class=now on=n2
bind slow v1
claim data class=late
pod web claim=data
volume v2 class=late on=n1
bind data v2
claim single class=late mode=rwop
volume v3 class=late on=n2
bind single v3
pod one claim=single
pod two claim=single
delete one`) {
			h.do(strings.Fields(line))
			synctest.Wait()
		}
		b, err := RunBacktest(h.ctx, h.projection, 0, h.projection.Snapshot().Position(), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Moved) != 0 || b.Same != 4 || b.Recorded.Waiting != 0 || b.Tried.Waiting != 0 {
			t.Errorf("%d the same, moved %+v\nrecorded %+v\ntried    %+v", b.Same, b.Moved, b.Recorded, b.Tried)
		}
	})
}
