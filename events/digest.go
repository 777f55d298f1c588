package events

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sync"
)

// Digest is the SHA-256 of an event's canonical encoding.
type Digest [sha256.Size]byte

// Chain is a running hash over a log: it says which events were folded, and in
// which order. Two logs with the same chain hold the same events.
type Chain [sha256.Size]byte

// Next is the chain after one more event: SHA-256 of the chain and the event's digest.
func (c Chain) Next(d Digest) Chain {
	var both [2 * sha256.Size]byte
	copy(both[:], c[:])
	copy(both[sha256.Size:], d[:])
	return sha256.Sum256(both[:])
}

func (c Chain) String() string { return hex.EncodeToString(c[:]) }

// MarshalText writes a chain in hexadecimal.
func (c Chain) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (c *Chain) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(c) {
		return fmt.Errorf("%w: %q is no chain", ErrInvalid, text)
	}
	if _, err := hex.Decode(c[:], text); err != nil {
		return fmt.Errorf("%w: %q is no chain", ErrInvalid, text)
	}
	return nil
}

// canonicalVersion is the first byte of a canonical encoding.
const canonicalVersion = 1

// Digest covers all that the event means, its sequence included, and nothing
// of how it travelled: not the order of headers, nor headers that aren't the
// event's, nor the time at which the stream stored it.
func (e *Event) Digest() Digest {
	buf := canonicalBuffers.Get().(*[]byte)
	*buf = e.AppendCanonical((*buf)[:0])
	d := sha256.Sum256(*buf)
	canonicalBuffers.Put(buf)
	return d
}

var canonicalBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

// AppendCanonical appends the canonical encoding: the fields in a fixed order,
// numbers in 8 bytes (big-endian), texts and data after their length. So no two
// different events have the same encoding.
//
// What isn't an event (its Type is empty) has no fields but what its subject
// says, its id and its data: the Note that says why depends on the program.
func (e *Event) AppendCanonical(b []byte) []byte {
	b = append(b, canonicalVersion)
	b = binary.BigEndian.AppendUint64(b, e.Sequence)
	for _, s := range [...]string{e.Prefix, e.Reporter, e.Key.Group, e.Key.Resource, e.Key.Namespace, e.Key.Name, e.ID, e.Type} {
		b = appendCanonicalText(b, s)
	}
	if e.Type != "" {
		b = binary.BigEndian.AppendUint64(b, uint64(e.Time.Unix()))
		b = binary.BigEndian.AppendUint64(b, uint64(e.Time.Nanosecond()))
		b = binary.BigEndian.AppendUint64(b, uint64(len(e.Cause)))
		for _, c := range e.Cause {
			b = binary.BigEndian.AppendUint64(b, c)
		}
		for _, n := range [...]uint64{e.IfVersion, e.Epoch, e.Counter.Incarnation, e.Counter.N} {
			b = binary.BigEndian.AppendUint64(b, n)
		}
		for _, s := range [...]string{e.Source, e.Traceparent, e.Actor, e.Reason, e.Note, e.Why, e.Verb, e.Component, e.UID, e.ContentType} {
			b = appendCanonicalText(b, s)
		}
	}
	b = binary.BigEndian.AppendUint64(b, uint64(len(e.Data)))
	return append(b, e.Data...)
}

func appendCanonicalText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
