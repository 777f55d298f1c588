package bus

import (
	"encoding/hex"

	"github.com/google/uuid"
)

// NewTraceparent begins a trace: a W3C trace context (version 00) that isn't sampled
// by anybody else.
func NewTraceparent() string {
	trace, span := uuid.New(), uuid.New()
	b := make([]byte, 0, 55)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, trace[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, span[:8])
	return string(append(b, "-00"...))
}
