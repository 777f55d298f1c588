package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// Keys holds the wrapped keys of sealed objects for all servers of a cluster,
// in a replicated stream of its own that keeps one value per key, and
// overwrites what is deleted. It is never part of the log or of a backup.
type Keys struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
}

const (
	streamKeys = "KEYS"
	keySubject = "key."
	keyWait    = 15 * time.Second // outlives a change of the stream's leader
	// settled is how old a key is before it counts as belonging to an object: a
	// key is made just before its object is, maybe on another server.
	settled = 10 * time.Minute
)

// Keys is the cluster's store of keys; nil on a single server.
func (s *Server) Keys() *Keys { return s.keys }

func (s *Server) openKeys(ctx context.Context, replicas int) (*Keys, error) {
	nc, err := s.dial("component:bus")(nats.Name("keys"), nats.CustomInboxPrefix("_INBOX_component:bus"))
	if err != nil {
		return nil, err
	}
	k := &Keys{nc: nc}
	if k.js, err = jetstream.New(nc); err != nil {
		nc.Close()
		return nil, err
	}
	err = bus.CreateStream(ctx, k.js, jetstream.StreamConfig{
		Name: streamKeys, Description: "wrapped keys of sealed objects", Subjects: []string{keySubject + ">"},
		Storage: jetstream.FileStorage, MaxMsgsPerSubject: 1, Replicas: replicas,
	})
	if err == nil {
		err = retry(ctx, func(ctx context.Context) error {
			k.stream, err = k.js.Stream(ctx, streamKeys)
			return err
		})
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("open stream %s: %w", streamKeys, err)
	}
	return k, nil
}

// retry does f again while the stream has no leader.
func retry(ctx context.Context, f func(ctx context.Context) error) error {
	for try := 2 * time.Second; ; try = min(2*try, 8*time.Second) {
		tctx, done := context.WithTimeout(ctx, try)
		err := f(tctx)
		done()
		var api *jetstream.APIError
		if err == nil || errors.Is(err, events.ErrNotFound) || errors.As(err, &api) && api.Code < 500 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", events.ErrUnavailable, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// do is retry for as long as a caller may wait.
func (k *Keys) do(f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), keyWait)
	defer cancel()
	return retry(ctx, f)
}

func (k *Keys) last(ctx context.Context, uid string) (*jetstream.RawStreamMsg, error) {
	m, err := k.stream.GetLastMsgForSubject(ctx, keySubject+events.EncodeToken(uid))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, events.ErrNotFound
	}
	return m, err
}

// Get fails with events.ErrNotFound when there is no key.
func (k *Keys) Get(uid string) ([]byte, error) {
	var wrapped []byte
	err := k.do(func(ctx context.Context) error {
		m, err := k.last(ctx, uid)
		if err == nil {
			wrapped = m.Data
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("key of uid %s: %w", uid, err)
	}
	return wrapped, nil
}

// Put is durable when it returns.
func (k *Keys) Put(uid string, wrapped []byte) error {
	err := k.do(func(ctx context.Context) error {
		_, err := k.js.Publish(ctx, keySubject+events.EncodeToken(uid), wrapped)
		return err
	})
	if err != nil {
		return fmt.Errorf("key of uid %s: %w", uid, err)
	}
	return nil
}

// Delete overwrites the key; a missing key is no error.
func (k *Keys) Delete(uid string) error {
	err := k.do(func(ctx context.Context) error {
		m, err := k.last(ctx, uid)
		if err != nil {
			return err
		}
		return k.stream.SecureDeleteMsg(ctx, m.Sequence)
	})
	if err != nil && !errors.Is(err, events.ErrNotFound) {
		return fmt.Errorf("key of uid %s: %w", uid, err)
	}
	return nil
}

// UIDs lists the objects that have a key.
func (k *Keys) UIDs() ([]string, error) {
	var out []string
	err := k.do(func(ctx context.Context) error {
		info, err := k.stream.Info(ctx, jetstream.WithSubjectFilter(keySubject+">"))
		if err != nil {
			return err
		}
		out = out[:0]
		for subject := range info.State.Subjects {
			uid, err := events.DecodeToken(strings.TrimPrefix(subject, keySubject))
			if err != nil {
				continue // not a key of ours
			}
			out = append(out, uid)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return out, nil
}

// Settled reports whether a key is so old that its object must be in the log.
func (k *Keys) Settled(uid string) (bool, error) {
	old := false
	err := k.do(func(ctx context.Context) error {
		m, err := k.last(ctx, uid)
		if err == nil {
			old = time.Since(m.Time) > settled
		}
		return err
	})
	if errors.Is(err, events.ErrNotFound) {
		return false, nil
	}
	return old, err
}
