package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/reckon-project/reckon/events"
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
	tombstoneTTL = 10 * time.Minute // how long a deletion stays to be seen
	// unlimited is a limit that isn't one. JetStream keeps whole blocks in memory for
	// ten seconds after each message that it looked up, of 4 MiB where there is a
	// limit and of 8 MiB where there is none.
	unlimited       = 1 << 40
	duplicateWindow = 2 * time.Second // correctness doesn't rest on it
)

// CreateStreams makes the streams that are missing and brings the settings of
// the others up to date. Replicas is 1 or 3.
func CreateStreams(ctx context.Context, js jetstream.JetStream, replicas int) error {
	if replicas > 1 {
		if err := waitForLeader(ctx, js); err != nil {
			return err
		}
	}
	configs := []jetstream.StreamConfig{
		{
			Name: StreamLog, Description: "decisions and facts: the truth",
			Subjects: []string{"log.>", "fact.>"}, Storage: jetstream.FileStorage,
			DenyDelete: true, AllowAtomicPublish: true, MaxMsgsPerSubject: unlimited,
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
		if err := CreateStream(ctx, js, c); err != nil {
			return err
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

// CreateStream makes one stream, or brings its settings up to date. In a
// cluster it tries again until ctx ends.
func CreateStream(ctx context.Context, js jetstream.JetStream, c jetstream.StreamConfig) error {
	err := create(ctx, c.Replicas, func(ctx context.Context) error {
		_, err := js.CreateOrUpdateStream(ctx, c)
		return err
	})
	if err != nil {
		return fmt.Errorf("create stream %s: %w", c.Name, err)
	}
	return nil
}

// waitForLeader asks what only a cluster's leader answers, in short: a request
// made before there is one is lost, and waiting long for its answer would only
// have everybody learn of the leader late.
func waitForLeader(ctx context.Context, js jetstream.JetStream) error {
	for try := 250 * time.Millisecond; ; try = min(2*try, 2*time.Second) {
		tctx, cancel := context.WithTimeout(ctx, try)
		_, err := js.AccountInfo(tctx)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the cluster's leader: %w: %w", events.ErrUnavailable, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// create tries again in a cluster: until enough servers have joined there is no
// place for replicas, and a new stream may be without a leader. It waits longer
// each time: on a busy machine a short wait could end before every answer, and
// each request has all servers work anew.
func create(ctx context.Context, replicas int, f func(context.Context) error) error {
	if replicas == 1 {
		return f(ctx)
	}
	for try := time.Second; ; try = min(2*try, 20*time.Second) {
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
