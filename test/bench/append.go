package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/events"
)

// benchAppend measures durable creates by many callers: Reckon's log in
// process, as its gateway uses it, beside etcd over loopback, as kube-apiserver
// uses that. Both on the same file system, in turns, so that what else the machine
// does meets both; each turn begins empty.
func benchAppend(ctx context.Context) error {
	const turns, each = 4, time.Second
	dir, err := os.MkdirTemp("", "reckon-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	value := bytes.Repeat([]byte("x"), 300)
	for _, callers := range []int{1, 8, 64, 512} {
		here := filepath.Join(dir, fmt.Sprint(callers))
		var ours, theirs float64
		for turn := range turns {
			here := filepath.Join(here, fmt.Sprint(turn))
			log, err := logAppends(ctx, filepath.Join(here, "log"), callers, each, value)
			if err != nil {
				return err
			}
			etcd, err := etcdAppends(ctx, filepath.Join(here, "etcd"), callers, each, value)
			if err != nil {
				return err
			}
			ours, theirs = ours+log/turns, theirs+etcd/turns
		}
		aim := 3
		if callers == 512 {
			aim = 4
		}
		row(fmt.Sprintf("durable appends, %d callers", callers), "%.0f/s, etcd %.0f/s: %.1f × (aim %d)", ours, theirs, ours/theirs, aim)
	}
	return nil
}

func logAppends(ctx context.Context, dir string, callers int, d time.Duration, value []byte) (float64, error) {
	s, err := server.Start(server.Options{Dir: dir})
	if err != nil {
		return 0, err
	}
	defer s.Shutdown()
	b, err := s.Connect("component:bench")
	if err != nil {
		return 0, err
	}
	defer b.Close()
	return throughput(ctx, callers, d, func(ctx context.Context, n uint64) error {
		e := &events.Event{
			Prefix: events.PrefixDecision, Key: events.Key{Resource: "configmaps", Namespace: "bench", Name: fmt.Sprint(n)},
			ID: bus.NewID(), Source: "bench", Type: events.Created, Time: time.Now(), Actor: "bench",
			ContentType: events.ContentObject, Data: value,
		}
		_, err := b.Log().Append(ctx, bus.Entry{Event: e, Expect: bus.Expect(0)})
		return err
	})
}
