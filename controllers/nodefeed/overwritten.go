package nodefeed

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// An earlier leader that doesn't know yet that it was replaced goes on putting.
// Nodes ignore its messages by their epoch, but the feed keeps a subject's last
// value only: a value of this leader that it replaced may never be seen. So the
// leader watches the feed, and puts again what was overwritten.

// overwritten hands on the messages of earlier leaders until ctx ends.
func overwritten(ctx context.Context, o Options, epoch uint64, to chan<- bus.FeedItem) {
	for ctx.Err() == nil {
		for item, err := range o.Bus.Feed().Watch(ctx, "feed.>") {
			if err != nil {
				break
			}
			if number(item, HeaderEpoch) >= epoch {
				continue
			}
			select {
			case to <- item:
			case <-ctx.Done():
			}
		}
		retry := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
		case <-retry.C:
		}
		retry.Stop()
	}
}

func number(item bus.FeedItem, header string) uint64 {
	v := item.Header[header]
	if len(v) == 0 {
		return 0
	}
	n, err := strconv.ParseUint(v[0], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// restore answers a message of an earlier leader.
func (t *tables) restore(s *projections.Snapshot, item bus.FeedItem) {
	on, key, err := parse(item.Subject)
	if err != nil {
		return // nothing that a leader put
	}
	n := t.nodes[on]
	if key.Resource == "manifest" {
		if n != nil {
			n.changed = true
		}
		return
	}
	if n != nil {
		if _, ok := n.values[key]; ok {
			if o := s.Get(key); o.Exists() {
				n.values[key] = o.Version
				t.send(on, key, o, s.Position())
			} // or it is gone, and will be buried
			return
		}
	}
	switch {
	case item.Data == nil:
	case number(item, HeaderPosition) > s.Position():
		t.unsure[item.Subject] = item // it may know of something that isn't folded here yet
	default:
		t.send(on, key, nil, s.Position())
	}
}

// restoreUnsure looks again at what wasn't clear.
func (t *tables) restoreUnsure(s *projections.Snapshot) {
	items := t.unsure
	t.unsure = map[string]bus.FeedItem{}
	for _, item := range items {
		t.restore(s, item)
	}
}

// parse is the inverse of subject.
func parse(text string) (on string, key events.Key, err error) {
	tokens := strings.Split(text, ".")
	if len(tokens) != 5 {
		return "", key, events.ErrInvalid
	}
	key.Resource = tokens[2]
	for i, field := range map[int]*string{1: &on, 3: &key.Namespace, 4: &key.Name} {
		if *field, err = events.DecodeToken(tokens[i]); err != nil {
			return "", key, err
		}
	}
	if key.Namespace == "_" {
		key.Namespace = ""
	}
	key.Group = groups[key.Resource]
	return on, key, nil
}
