package feed

import (
	"encoding/json"
	"fmt"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

func item(t *testing.T, subject string, epoch, position uint64, value any) bus.FeedItem {
	t.Helper()
	out := bus.FeedItem{Subject: subject, Header: events.Header{
		"reckon-epoch": {fmt.Sprint(epoch)}, "reckon-position": {fmt.Sprint(position)},
	}}
	if value == nil {
		return out
	}
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	out.Data = data
	return out
}

func pod(uid string) *v1.Pod {
	return &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: types.UID(uid)}}
}

// A pod ends by a tombstone, or by a newer manifest of its own node without it.
func TestWhatEndsAPod(t *testing.T) {
	const subject = "feed.n1.pods.default.web"
	for name, c := range map[string]struct {
		then bus.FeedItem
		gone bool
	}{
		"its tombstone":                       {item(t, subject, 1, 11, nil), true},
		"a tombstone of an earlier leader":    {item(t, subject, 0, 99, nil), false},
		"a newer manifest without it":         {item(t, "feed.n1.manifest._.n1", 1, 12, Manifest{Position: 12, Epoch: 1}), true},
		"a newer manifest with it":            {item(t, "feed.n1.manifest._.n1", 1, 12, Manifest{Position: 12, Epoch: 1, Pods: []string{"a"}}), false},
		"an older manifest without it":        {item(t, "feed.n1.manifest._.n1", 1, 9, Manifest{Position: 9, Epoch: 1}), false},
		"the manifest of what all nodes have": {item(t, "feed._.manifest._._", 1, 12, Manifest{Position: 12, Epoch: 1}), false},
		"another pod of its name":             {item(t, subject, 1, 12, pod("b")), true},
		"a newer version of it":               {item(t, subject, 1, 12, pod("a")), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewStore(nil)
			if _, err := s.Apply(item(t, subject, 1, 10, pod("a"))); err != nil {
				t.Fatal(err)
			}
			change, err := s.Apply(c.then)
			if err != nil {
				t.Fatal(err)
			}
			if gone := len(change.Gone) == 1 && change.Gone[0] == "a"; gone != c.gone {
				t.Errorf("gone: %v, want %v", change.Gone, c.gone)
			}
		})
	}
}

// What runs on the node and was never named by the feed ends only when the
// node's own manifest doesn't name it.
func TestWhatEndsAnUnknownPod(t *testing.T) {
	s := NewStore(map[string]Known{"old": {}, "kept": {}, "newer": {At: Position{Epoch: 1, Log: 8}}})
	for _, m := range []bus.FeedItem{
		item(t, "feed._.manifest._._", 1, 5, Manifest{Position: 5, Epoch: 1}),
		item(t, "feed.n1.services.default.x", 1, 6, &v1.Service{}),
	} {
		if change, err := s.Apply(m); err != nil || len(change.Gone) != 0 {
			t.Fatalf("%s ended %v (%v)", m.Subject, change.Gone, err)
		}
	}
	change, err := s.Apply(item(t, "feed.n1.manifest._.n1", 1, 7, Manifest{Position: 7, Epoch: 1, Pods: []string{"kept"}}))
	if err != nil || len(change.Gone) != 1 || change.Gone[0] != "old" {
		t.Errorf("gone: %v (%v), want old", change.Gone, err)
	}
}

// What a watch begins with comes in any order: a pod that a newer manifest left
// out doesn't start, one that it names does, and so does a newer one.
func TestAPodAfterTheManifest(t *testing.T) {
	for name, c := range map[string]struct {
		pods    []string
		at      uint64
		started bool
	}{
		"left out":      {nil, 10, false},
		"named":         {[]string{"a"}, 10, true},
		"newer than it": {nil, 12, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewStore(nil)
			if _, err := s.Apply(item(t, "feed.n1.manifest._.n1", 1, 12, Manifest{Position: 12, Epoch: 1, Pods: c.pods})); err != nil {
				t.Fatal(err)
			}
			change, err := s.Apply(item(t, "feed.n1.pods.default.web", 1, c.at, pod("a")))
			if err != nil {
				t.Fatal(err)
			}
			if started := change.Pod != nil; started != c.started {
				t.Errorf("started: %v, want %v", started, c.started)
			}
		})
	}
}
