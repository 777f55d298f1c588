package gateway

import (
	"context"
	"time"

	"k8s.io/kubernetes/pkg/probe"
	"k8s.io/kubernetes/pkg/registry/core/componentstatus"

	"github.com/reckon-project/reckon/bus"
)

// logStatus is the one component whose health componentstatuses shows: the log.
type logStatus struct{ log bus.Log }

func (l logStatus) DoServerCheck() (probe.Result, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, _, err := l.log.Range(ctx); err != nil {
		return probe.Failure, "", err
	}
	return probe.Success, "ok", nil
}

func componentStatuses(b bus.Bus) *componentstatus.REST {
	return componentstatus.NewStorage(func() map[string]componentstatus.Server {
		return map[string]componentstatus.Server{"log": logStatus{b.Log()}}
	})
}
