package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Follow tells the proxy what the node feed says of services and endpoint
// slices, until ctx ends. The manifest of what is for all nodes makes it complete.
func (p *Proxy) Follow(ctx context.Context, feed bus.Feed) error {
	f := follower{p, map[string]stamp{}}
	for item, err := range feed.Watch(ctx, "feed._.services.>", "feed._.endpointslices.>", "feed._.manifest.>") {
		if err != nil {
			return fmt.Errorf("proxy: watch the feed: %w", err)
		}
		at := stampOf(item.Header)
		if at.before(f.seen[item.Subject]) {
			continue
		}
		f.seen[item.Subject] = at
		if err := f.take(item, at); err != nil {
			p.options.Log.Error("unreadable feed message", "subject", item.Subject, "error", err)
		}
	}
	return ctx.Err()
}

// follower remembers when each subject was last put.
type follower struct {
	proxy *Proxy
	seen  map[string]stamp
}

func (f follower) take(item bus.FeedItem, at stamp) error {
	tokens := strings.Split(item.Subject, ".")
	if len(tokens) != 5 {
		return fmt.Errorf("%w: want feed.<node>.<resource>.<namespace>.<name>", events.ErrInvalid)
	}
	if tokens[2] == "manifest" {
		return f.manifest(item.Data, at)
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
		f.proxy.SetService(namespace, name, s)
	case "endpointslices":
		s, err := decode[discoveryv1.EndpointSlice](item.Data)
		if err != nil {
			return err
		}
		f.proxy.SetSlice(namespace, name, s)
	}
	return nil
}

// manifest drops what an earlier publisher left: what is older than the manifest and not
// named in it. What went away while nobody published has no tombstone.
func (f follower) manifest(data []byte, at stamp) error {
	if len(data) == 0 {
		return nil
	}
	m, err := decode[struct {
		Keys []string `json:"keys"`
	}](data)
	if err != nil {
		return err
	}
	named := make(map[string]bool, len(m.Keys))
	for _, k := range m.Keys {
		named[k] = true
	}
	for subject, last := range f.seen {
		tokens := strings.Split(subject, ".")
		if len(tokens) != 5 || tokens[2] == "manifest" || !last.before(at) {
			continue
		}
		namespace, err1 := events.DecodeToken(tokens[3])
		name, err2 := events.DecodeToken(tokens[4])
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if named[tokens[2]+"/"+namespace+"/"+name] {
			continue
		}
		delete(f.seen, subject)
		if err := f.take(bus.FeedItem{Subject: subject}, at); err != nil {
			return err
		}
	}
	f.proxy.Complete()
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
