package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/reckon-project/reckon/agent/cri"
	"github.com/reckon-project/reckon/agent/direct"
	"github.com/reckon-project/reckon/agent/runtime"
	"github.com/reckon-project/reckon/events"
)

// The ways to drive containerd.
const (
	RuntimeCRI    = "cri"
	RuntimeDirect = "direct"
)

// runtimeOn gives the runtime that the options name.
func (a *Agent) runtimeOn(ctx context.Context, client *cri.Client) (runtime.Runtime, error) {
	switch a.o.RuntimeName {
	case "", RuntimeCRI:
		return client, nil
	case RuntimeDirect:
		o := a.layout.Direct()
		o.Logger = a.o.Logger
		r, err := direct.New(ctx, client, o)
		if err != nil {
			return nil, errors.Join(err, client.Close())
		}
		return r, nil
	}
	return nil, errors.Join(fmt.Errorf("%w: there is no runtime %q, only %s and %s", events.ErrInvalid, a.o.RuntimeName, RuntimeCRI, RuntimeDirect), client.Close())
}
