package projections

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"github.com/reckon-project/reckon/bus"
)

// VerifyOptions says what Verify compares the log with besides its checkpoints.
type VerifyOptions struct {
	Anchors  []Anchor
	Live     *Live                 // what a running projection says that it holds; nil: not compared
	Progress func(position uint64) // called now and then
}

// Verify folds the log again, from its beginning or, where it was trimmed, from
// its base checkpoint, and compares chain and state with every checkpoint, the
// anchors and the live state. Without a key signatures aren't checked.
//
// What is wrong is in the report, not in the error: an event that was changed,
// removed, added or moved breaks the chain at the next point that says what it
// was, so it lies between that point and the last one that agreed; missing
// sequences are named, and so are events cut off the end, if an anchor or
// checkpoint knew them. Verify goes on behind a break from the signed point, so
// that several are found. It changes nothing.
func Verify(ctx context.Context, log bus.Log, blobs bus.Blobs, key ed25519.PublicKey, o VerifyOptions) (*Report, error) {
	first, last, err := log.Range(ctx)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	v := &verifier{blobs: blobs, key: key, options: o, report: &Report{First: first, Last: last}, points: map[uint64][]point{}}
	if err := v.collect(ctx); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	if err := v.begin(ctx); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	if err := v.fold(ctx, log); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	v.end()
	return v.report, nil
}
