package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/reckon-project/reckon/agent/kubeletapi"
	"github.com/reckon-project/reckon/agent/pod"
)

// serve answers the kubelet API on the node's tunnel.
func (a *Agent) serve(ctx context.Context) error {
	subject := "tunnel." + token(a.o.Node) + ".conn"
	l, err := a.o.Bus.Listen(ctx, subject)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", subject, err)
	}
	api := &kubeletapi.Server{
		Node: a.o.Node, Root: a.o.Dir, Runtime: a.runtime, Pods: pods{a}, Meter: a.measured, Probes: a.host.Probes, Config: a.configuration,
		Cgroups: "/sys/fs/cgroup", CgroupPrefix: a.host.CgroupPrefix, VolumePath: a.volumePath, Log: a.log, Clock: a.clock,
	}
	if a.o.Runtime == nil {
		api.NodeLogs = "/var/log"
	}
	server := &http.Server{
		Handler: api.Handler(), ReadHeaderTimeout: 30 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
		return err
	}
	return nil
}

// volumePath is where a pod's volume is.
func (a *Agent) volumePath(uid, name string) string {
	return filepath.Join(a.podsDir(), uid, "volumes", name)
}

// pods lets the kubelet API read the workers.
type pods struct{ a *Agent }

// Find implements kubeletapi.Pods. Of two pods of a name the one that isn't ending counts.
func (p pods) Find(namespace, name string) (found pod.View, ok bool) {
	for _, v := range p.All() {
		if v.Pod.Namespace == namespace && v.Pod.Name == name && (!ok || v.Pod.DeletionTimestamp == nil) {
			found, ok = v, true
		}
	}
	return found, ok
}

// All implements kubeletapi.Pods.
func (p pods) All() []pod.View {
	var out []pod.View
	p.a.each(func(w *pod.Worker) {
		if v := w.View(); v.Pod != nil {
			out = append(out, v)
		}
	})
	return out
}
