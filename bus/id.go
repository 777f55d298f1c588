package bus

import "github.com/google/uuid"

// NewID makes an event's id: a version 7 UUID, so that ids sort by time.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }
