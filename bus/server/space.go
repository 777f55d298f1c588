package server

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"

	"github.com/reckon-project/reckon/events"
)

const (
	mostReserve = 64 << 20 // bytes that stay free; on a small disk a sixteenth of it
	spaceEvery  = 250 * time.Millisecond
)

// space refuses appends while the disk is nearly full. A write that fails would
// end JetStream's stream for good, so it must not come to that: what is kept free
// holds what is under way.
//
//	open ──free < reserve──► refusing ──free ≥ 5/4 reserve──► open
type space struct {
	dir      string
	account  *server.Account
	refusing atomic.Pointer[noSpace]
}

// noSpace says why appends are refused.
type noSpace struct {
	dir           string
	free, reserve uint64
}

func (e *noSpace) Error() string {
	return fmt.Sprintf("the disk with %s is full: %d MB are free and %d MB of that stay in reserve; make free space there, appends then go on by themselves",
		e.dir, e.free>>20, max(e.reserve>>20, 1))
}

func (e *noSpace) Is(target error) bool { return target == events.ErrUnavailable }

// check looks at the disk; it costs a microsecond.
func (s *space) check() error {
	var fs unix.Statfs_t
	if err := unix.Statfs(s.dir, &fs); err != nil {
		return fmt.Errorf("look at the free space of %s: %w", s.dir, err)
	}
	unit := uint64(fs.Bsize)
	free, reserve := fs.Bavail*unit, min(mostReserve, fs.Blocks*unit/16)
	was := s.refusing.Load()
	switch {
	case was == nil && free < reserve:
		if err := s.limit(0); err != nil {
			return err
		}
		s.refusing.Store(&noSpace{s.dir, free, reserve})
	case was != nil && free >= reserve+reserve/4:
		if err := s.limit(-1); err != nil {
			return err
		}
		s.refusing.Store(nil)
	case was != nil && was.free != free:
		s.refusing.Store(&noSpace{s.dir, free, reserve})
	}
	return nil
}

// limit sets how much JetStream may hold on disk, for all who publish: 0 lets
// it refuse everything new, -1 nothing.
func (s *space) limit(store int64) error {
	err := s.account.UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": {
		MaxMemory: -1, MaxStore: store, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1,
		MemoryMaxStreamBytes: -1, StoreMaxStreamBytes: -1,
	}})
	if err != nil {
		return fmt.Errorf("limit what JetStream stores: %w", err)
	}
	return nil
}

// full says why appends are refused, nil if they aren't.
func (s *space) full() error {
	if e := s.refusing.Load(); e != nil {
		return e
	}
	return nil
}

// watch checks the disk until ctx ends.
func (s *space) watch(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(spaceEvery)
	defer tick.Stop()
	for was := s.full(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.check(); err != nil && ctx.Err() == nil {
			log.Error("watch the free space of the bus's folder", "error", err)
		}
		is := s.full()
		switch {
		case was == nil && is != nil:
			log.Error("appends are refused", "error", is)
		case was != nil && is == nil:
			log.Info("appends are accepted again: there is free space", "folder", s.dir)
		}
		was = is
	}
}

// after checks the disk after each sync: many appends fill it quickly.
func (s *space) after(sync func() error) func() error {
	return func() error {
		if err := sync(); err != nil {
			return err
		}
		s.check() //nolint:errcheck // what was synced is durable; watch says it
		return nil
	}
}
