package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// etcdAppends measures durable creates (a transaction that holds only if the
// key is new, as Kubernetes writes) through a client over loopback.
func etcdAppends(ctx context.Context, dir string, callers int, d time.Duration, value []byte) (perSecond float64, err error) {
	config := embed.NewConfig()
	config.Dir = dir
	config.LogLevel, config.LogOutputs = "error", []string{os.DevNull}
	client, peer := loopback(), loopback()
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	server, err := embed.StartEtcd(config)
	if err != nil {
		return 0, fmt.Errorf("start etcd: %w", err)
	}
	defer server.Close()
	select {
	case <-server.Server.ReadyNotify():
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Clients[0].Addr().String()}, Logger: zap.NewNop()})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return throughput(ctx, callers, d, func(ctx context.Context, n uint64) error {
		key := fmt.Sprintf("/registry/bench/%d", n)
		r, err := c.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", 0)).Then(clientv3.OpPut(key, string(value))).Commit()
		if err == nil && !r.Succeeded {
			return fmt.Errorf("%s existed", key)
		}
		return err
	})
}

func loopback() url.URL { return url.URL{Scheme: "http", Host: "127.0.0.1:0"} }

// throughput calls f from so many goroutines for d and returns calls a second.
func throughput(ctx context.Context, callers int, d time.Duration, f func(ctx context.Context, n uint64) error) (float64, error) {
	var n, done atomic.Uint64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	start := time.Now()
	end := start.Add(d)
	for range callers {
		wg.Go(func() {
			for time.Now().Before(end) && failed.Load() == nil && ctx.Err() == nil {
				if err := f(ctx, n.Add(1)); err != nil {
					failed.Store(&err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(done.Load()) / time.Since(start).Seconds(), ctx.Err()
}
