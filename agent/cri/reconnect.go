package cri

import (
	"time"

	"google.golang.org/grpc/backoff"
)

// reconnect keeps up with a daemon that is being restarted next door.
var reconnect = backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second}
