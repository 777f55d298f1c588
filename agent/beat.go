package agent

import (
	"context"
	"encoding/json"
	"time"

	"github.com/reckon-project/reckon/events"
)

const beatEvery = 4 * time.Second

// Beat is a heartbeat's data.
type Beat struct {
	Node        string    `json:"node"`
	Time        time.Time `json:"time"`
	Incarnation uint64    `json:"incarnation"`
}

// beat says every four seconds that the node is there. A heartbeat that can't
// be sent is simply missing: that is what it means.
func (a *Agent) beat(ctx context.Context) error {
	ticker := a.clock.NewTicker(beatEvery)
	defer ticker.Stop()
	for {
		data, err := json.Marshal(Beat{Node: a.o.Node, Time: a.clock.Now().UTC(), Incarnation: a.incarnation})
		if err != nil {
			return err
		}
		if err := a.o.Bus.Publish("beat."+token(a.o.Node), data); err != nil {
			a.log.Debug("a heartbeat wasn't sent", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
}

func token(s string) string { return events.EncodeToken(s) }
