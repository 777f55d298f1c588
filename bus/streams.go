package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The streams.
const (
	StreamLog      = "LOG"
	StreamVolatile = "VOLATILE"
	StreamFeed     = "FEED"
	StreamLeases   = "LEASES"
	BucketBlobs    = "BLOBS"
)

const (
	tombstoneTTL    = 10 * time.Minute // how long a deletion stays to be seen
	duplicateWindow = 2 * time.Second  // correctness doesn't rest on it
)

// CreateStreams makes the streams that are missing and brings the settings of
// the others up to date. Replicas is 1 or 3.
func CreateStreams(ctx context.Context, js jetstream.JetStream, replicas int) error {
	configs := []jetstream.StreamConfig{
		{
			Name: StreamLog, Description: "decisions and facts: the truth",
			Subjects: []string{"log.>", "fact.>"}, Storage: jetstream.FileStorage,
			DenyDelete: true, AllowAtomicPublish: true,
		},
		{
			Name: StreamVolatile, Description: "Leases and Events of outside programs",
			Subjects: []string{"volatile.>"}, Storage: jetstream.FileStorage, MaxMsgsPerSubject: 1,
			AllowMsgTTL: true, SubjectDeleteMarkerTTL: tombstoneTTL, AllowAtomicPublish: true,
		},
		{
			Name: StreamFeed, Description: "what each node needs, last value per subject",
			Subjects: []string{"feed.>"}, Storage: jetstream.MemoryStorage, MaxMsgsPerSubject: 1, AllowMsgTTL: true,
		},
		{
			// In memory: a single server that starts again has no leader left
			// to wait for, and a remote one is fenced by its epoch.
			Name: StreamLeases, Description: "who leads",
			Subjects: []string{"lease.>"}, Storage: jetstream.MemoryStorage, MaxMsgsPerSubject: 1,
			AllowMsgTTL: true, SubjectDeleteMarkerTTL: time.Second,
		},
	}
	for _, c := range configs {
		c.Replicas = replicas
		c.Duplicates = duplicateWindow
		// A follower answers direct reads too, and may be behind.
		c.AllowDirect = replicas == 1
		err := create(ctx, replicas, func(ctx context.Context) error {
			_, err := js.CreateOrUpdateStream(ctx, c)
			return err
		})
		if err != nil {
			return fmt.Errorf("create stream %s: %w", c.Name, err)
		}
	}
	err := create(ctx, replicas, func(ctx context.Context) error {
		_, err := js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{
			Bucket: BucketBlobs, Description: "checkpoints", Storage: jetstream.FileStorage, Replicas: replicas,
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("create object store %s: %w", BucketBlobs, err)
	}
	return nil
}

// create tries again in a cluster: before it has a leader nobody answers, and
// before enough servers have joined there is no place for replicas.
func create(ctx context.Context, replicas int, f func(context.Context) error) error {
	if replicas == 1 {
		return f(ctx)
	}
	for try := time.Second; ; try = min(2*try, 10*time.Second) {
		tctx, cancel := context.WithTimeout(ctx, try)
		err := f(tctx)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}
