package metrics

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/reckon-project/reckon/bus/usage"
)

func report(t interface{ Fatal(...any) }, cpu uint64, size int) []byte {
	r := &usage.Report{Window: time.Second, Use: usage.Use{CPU: cpu}, Pods: []usage.Pod{{UID: fmt.Sprintf("%0*d", size, 0)}}}
	data, err := usage.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestBook: whatever nodes tell and when, the present is the newest report of the
// last minute; the past is a report of at most two minutes before; and no more is
// kept than ten minutes at one a minute.
func TestBook(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(10_000, 0)
		b := NewBook(nil, func() time.Time { return now })
		type heard struct {
			at  time.Time
			cpu uint64
		}
		all := map[string][]heard{}
		for i := range rapid.IntRange(1, 150).Draw(t, "reports") {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 15, 15, 15, 15, 59, 60, 61, 200, 700}).Draw(t, "after")) * time.Second)
			node := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "node")
			b.hear(node, report(t, uint64(i), 1))
			all[node] = append(all[node], heard{now, uint64(i)})
			bytes := 0
			for node, kept := range b.nodes {
				if len(kept) > 13 {
					t.Fatalf("%d reports of %s are kept", len(kept), node)
				}
				for _, k := range kept {
					bytes += len(k.data)
				}
			}
			if bytes != b.bytes {
				t.Fatalf("%d bytes are kept, %d counted", bytes, b.bytes)
			}
		}
		for node, said := range all {
			last := said[len(said)-1]
			got := b.of(node, now)
			if now.Sub(last.at) > fresh {
				if got != nil {
					t.Fatalf("node %s was last heard %s ago, and is shown", node, now.Sub(last.at))
				}
			} else if got == nil || got.decode().CPU != last.cpu {
				t.Fatalf("node %s: %+v is shown, not %+v", node, got, last)
			}
			at := now.Add(-time.Duration(rapid.IntRange(1, 600).Draw(t, "ago")) * time.Second)
			if got := b.of(node, at); got != nil && (got.at.After(at) || at.Sub(got.at) > 2*time.Minute) {
				t.Fatalf("at %s the report of %s is shown", at, got.at)
			}
		}
	})
}

// TestBookRemembers: a node that tells every quarter of a minute can be asked for
// any moment of the last nine minutes.
func TestBookRemembers(t *testing.T) {
	now := time.Unix(10_000, 0)
	b := NewBook(nil, func() time.Time { return now })
	for i := range 100 {
		now = now.Add(usage.Every)
		b.hear("a", report(t, uint64(i), 1))
	}
	for ago := range 540 {
		if b.of("a", now.Add(-time.Duration(ago)*time.Second)) == nil {
			t.Errorf("nothing is known of %d s ago", ago)
		}
	}
}

// TestBookForgets: history goes when there is too much of it, the present stays; and
// a node that is silent is forgotten.
func TestBookForgets(t *testing.T) {
	now := time.Unix(10_000, 0)
	b := NewBook(nil, func() time.Time { return now })
	for range 8 {
		for _, node := range []string{"a", "b", "c", "d"} {
			b.hear(node, report(t, 1, 2<<20))
			if b.bytes > most+(9<<20) {
				t.Fatalf("%d bytes are kept", b.bytes)
			}
		}
		now = now.Add(apart)
	}
	for _, node := range []string{"a", "b", "c", "d"} {
		if b.of(node, now) == nil {
			t.Errorf("the present of %s is forgotten", node)
		}
	}
	now = now.Add(history + time.Second)
	b.hear("a", report(t, 1, 1))
	if len(b.nodes) != 1 {
		t.Errorf("%d nodes are remembered, one spoke", len(b.nodes))
	}
}
