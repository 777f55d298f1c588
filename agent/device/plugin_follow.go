package device

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const answerWithin = 10 * time.Second

// add connects to a plugin and follows what it has.
func (m *Manager) add(q *api.RegisterRequest) error {
	conn, err := grpc.NewClient("unix://"+filepath.Join(m.dir, q.Endpoint), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect to device plugin %s: %w", q.ResourceName, err)
	}
	options := q.Options
	if options == nil {
		options = &api.DevicePluginOptions{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx.Err() != nil {
		return errors.Join(m.ctx.Err(), conn.Close())
	}
	ctx, stop := context.WithCancel(m.ctx)
	o := &offer{client: api.NewDevicePluginClient(conn), options: options, stop: stop, devices: map[string]*api.Device{}}
	old := m.offers[q.ResourceName]
	m.offers[q.ResourceName] = o
	if old == nil {
		if err := m.writeNames(); err != nil {
			m.log.Warn("a device plugin's resource can't be kept for a restart", "resource", q.ResourceName, "err", err)
		}
	} else if old.client != nil {
		old.stop()
		o.devices = old.devices
	}
	m.log.Info("a device plugin has registered", "resource", q.ResourceName)
	m.plugins.Go(func() {
		defer conn.Close()
		defer stop()
		err := m.follow(ctx, q.ResourceName, o)
		m.leave(q.ResourceName, o)
		if ctx.Err() == nil {
			m.log.Warn("a device plugin is gone", "resource", q.ResourceName, "err", err)
		}
	})
	return nil
}

func (m *Manager) follow(ctx context.Context, name string, o *offer) error {
	answer, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if _, err := o.client.GetDevicePluginOptions(answer, &api.Empty{}, grpc.WaitForReady(true)); err != nil {
		return fmt.Errorf("it doesn't answer: %w", err)
	}
	stream, err := o.client.ListAndWatch(ctx, &api.Empty{})
	if err != nil {
		return err
	}
	for {
		r, err := stream.Recv()
		if err != nil {
			return err
		}
		devices := make(map[string]*api.Device, len(r.Devices))
		for _, d := range r.Devices {
			devices[d.ID] = d
		}
		m.mu.Lock()
		o.devices = devices
		m.mu.Unlock()
		m.log.Debug("devices have changed", "resource", name, "devices", len(devices))
		m.changed()
	}
}

// leave says that a plugin is away.
func (m *Manager) leave(name string, o *offer) {
	m.mu.Lock()
	if m.offers[name] == o {
		o.left = m.clock.Now()
	}
	m.mu.Unlock()
	m.changed()
}
