package registry

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	registerapi "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const answerWithin = 10 * time.Second

// info is what a plugin says of itself.
type info struct{ kind, name, endpoint string }

// one asks a plugin who it is and hands it to its handler.
func (w *Watcher) one(ctx context.Context, s *socket) error {
	conn, err := grpc.NewClient("unix://"+s.path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", s.path, err)
	}
	defer conn.Close()
	client := registerapi.NewRegistrationClient(conn)
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	answer, err := client.GetInfo(ctx, &registerapi.InfoRequest{})
	if err != nil {
		return fmt.Errorf("ask who listens at %s: %w", s.path, err)
	}
	s.info = info{answer.Type, answer.Name, answer.Endpoint}
	if s.info.endpoint == "" {
		s.info.endpoint = s.path
	}
	h := w.Handlers[answer.Type]
	if h == nil {
		return nil
	}
	failed := h.Register(ctx, s.info.name, s.info.endpoint, answer.SupportedVersions)
	status := &registerapi.RegistrationStatus{PluginRegistered: failed == nil}
	if failed != nil {
		status.Error = failed.Error()
	}
	if _, err := client.NotifyRegistrationStatus(ctx, status); err != nil && failed == nil {
		// It may end itself for want of the answer, and comes back with a new socket then.
		w.Log.Info("a plugin didn't hear that it is registered", "plugin", s.info.name, "err", err)
	}
	return failed
}
