package projections

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// liveSubject is where a control plane says what its projection holds. Only
// components may ask there: neither nodes nor users may publish on it.
const liveSubject = "state.live"

// Live is what a projection holds at a position, in short: with it Verify finds
// a state that went wrong in the memory of a running server.
type Live struct {
	Position uint64       `json:"position"`
	Chain    events.Chain `json:"chain"`
	Chained  uint64       `json:"chained,omitempty"` // the position that the chain begins after
	Checksum []byte       `json:"checksum"`          // SHA-256 of the encoded state
}

// Live encodes the whole state for its checksum.
func (s *Snapshot) Live() (*Live, error) {
	checksum, err := new(encodings).checksum(s)
	if err != nil {
		return nil, err
	}
	return &Live{Position: s.Position(), Chain: s.Chain(), Chained: s.s.chained, Checksum: checksum}, nil
}

// ServeLive answers AskLive until ctx ends; it returns once it does.
func (p *Projection) ServeLive(ctx context.Context, b bus.Bus) error {
	return b.Serve(ctx, liveSubject, func(context.Context, bus.Message) (bus.Message, error) {
		live, err := p.Snapshot().Live()
		if err != nil {
			return bus.Message{}, err
		}
		data, err := json.Marshal(live)
		return bus.Message{Data: data}, err
	})
}

// AskLive asks a running control plane for its state now: of several servers
// the one that answers first. None is an error of class events.ErrUnavailable.
func AskLive(ctx context.Context, b bus.Bus) (*Live, error) {
	answer, err := b.Request(ctx, liveSubject, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("ask for the live state: %w", err)
	}
	live := &Live{}
	if err := json.Unmarshal(answer.Data, live); err != nil {
		return nil, fmt.Errorf("ask for the live state: %w: %v", events.ErrInvalid, err)
	}
	return live, nil
}
