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
		if _, err := js.CreateOrUpdateStream(ctx, c); err != nil {
			return fmt.Errorf("create stream %s: %w", c.Name, err)
		}
	}
	_, err := js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{
		Bucket: BucketBlobs, Description: "checkpoints", Storage: jetstream.FileStorage, Replicas: replicas,
	})
	if err != nil {
		return fmt.Errorf("create object store %s: %w", BucketBlobs, err)
	}
	return nil
}
