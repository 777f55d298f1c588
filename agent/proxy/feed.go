package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Follow tells the proxy what the node feed says of services and endpoint
// slices, until ctx ends. The manifest of this node makes it complete.
func (p *Proxy) Follow(ctx context.Context, feed bus.Feed) error {
	node := events.EncodeToken(p.options.Node)
	seen := map[string]stamp{}
	for item, err := range feed.Watch(ctx, "feed._.services.>", "feed._.endpointslices.>", "feed."+node+".manifest.>") {
		if err != nil {
			return fmt.Errorf("proxy: watch the feed: %w", err)
		}
		at := stampOf(item.Header)
		if at.before(seen[item.Subject]) {
			continue
		}
		seen[item.Subject] = at
		if err := p.take(item); err != nil {
			p.options.Log.Error("unreadable feed message", "subject", item.Subject, "error", err)
		}
	}
	return ctx.Err()
}

func (p *Proxy) take(item bus.FeedItem) error {
	tokens := strings.Split(item.Subject, ".")
	if len(tokens) != 5 {
		return fmt.Errorf("%w: want feed.<node>.<resource>.<namespace>.<name>", events.ErrInvalid)
	}
	if tokens[2] == "manifest" {
		if item.Data != nil {
			p.Complete()
		}
		return nil
	}
	namespace, err := events.DecodeToken(tokens[3])
	if err != nil {
		return err
	}
	name, err := events.DecodeToken(tokens[4])
	if err != nil {
		return err
	}
	switch tokens[2] {
	case "services":
		s, err := decode[corev1.Service](item.Data)
		if err != nil {
			return err
		}
		p.SetService(namespace, name, s)
	case "endpointslices":
		s, err := decode[discoveryv1.EndpointSlice](item.Data)
		if err != nil {
			return err
		}
		p.SetSlice(namespace, name, s)
	}
	return nil
}

// decode gives nil for a tombstone.
func decode[T any](data []byte) (*T, error) {
	if len(data) == 0 {
		return nil, nil
	}
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, fmt.Errorf("%w: %v", events.ErrInvalid, err)
	}
	return &v, nil
}

// stamp orders a subject's feed messages.
type stamp struct{ epoch, position uint64 }

func stampOf(h events.Header) stamp {
	return stamp{number(h["reckon-epoch"]), number(h["reckon-position"])}
}

func (s stamp) before(t stamp) bool {
	return s.epoch < t.epoch || (s.epoch == t.epoch && s.position < t.position)
}

func number(v []string) uint64 {
	if len(v) == 0 {
		return 0
	}
	n, err := strconv.ParseUint(v[0], 10, 64)
	if err != nil {
		return 0 // no position is older than any
	}
	return n
}
