package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// meter measures what a workload costs the control plane.
type meter struct {
	c        *cluster
	name     string
	begun    time.Time
	cpu      time.Duration
	position uint64

	stop    context.CancelFunc
	watched sync.WaitGroup
	deepest string // the controller with the longest queue seen
	depth   float64
}

// measure begins with a workload; name is that of its profile.
func (c *cluster) measure(ctx context.Context, name string) (*meter, error) {
	position, err := c.position(ctx)
	if err != nil {
		return nil, err
	}
	m := &meter{c: c, name: name, begun: time.Now(), cpu: c.server.cpu(), position: position}
	ctx, m.stop = context.WithCancel(ctx)
	m.watched.Go(func() { m.watchQueues(ctx) })
	if c.profiles != "" {
		m.watched.Go(func() { m.profile(ctx) })
	}
	return m, nil
}

// profile takes one profile after the other, of ten seconds each.
func (m *meter) profile(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		file := filepath.Join(m.c.profiles, fmt.Sprintf("%s-%d.cpu", m.name, n))
		if err := m.c.server.profile(context.WithoutCancel(ctx), "profile?seconds=10", file); err != nil {
			row("  profile", "%v", err)
			return
		}
	}
}

// print tells what it cost so far.
func (m *meter) print(ctx context.Context, what string, objects int) error {
	took, cpu := time.Since(m.begun), m.c.server.cpu()-m.cpu
	position, err := m.c.position(ctx)
	m.stop()
	m.watched.Wait()
	if err != nil {
		return err
	}
	row(what, "%.1f s, %.0f objects/s, %.1f events and %.0f µs of server CPU an object, %.0f MB, longest queue %.0f (%s)",
		took.Seconds(), float64(objects)/took.Seconds(), float64(position-m.position)/float64(objects),
		float64(cpu.Microseconds())/float64(objects), float64(m.c.server.rss())/1e6, m.depth, m.deepest)
	if m.c.profiles == "" {
		return nil
	}
	return m.c.server.memory(ctx, "after "+m.name, m.c.profiles)
}

// position is how long the log is.
func (c *cluster) position(ctx context.Context) (uint64, error) {
	list, err := c.client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(list.ResourceVersion, 10, 64)
}

// watchQueues looks at the controllers' queues every two seconds.
func (m *meter) watchQueues(ctx context.Context) {
	every := time.NewTicker(2 * time.Second)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		text, err := m.c.client.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() {
			labels, ok := strings.CutPrefix(lines.Text(), `reckon_controller_queue_depth{controller="`)
			if !ok {
				continue
			}
			name, value, _ := strings.Cut(labels, `"} `)
			if n, err := strconv.ParseFloat(value, 64); err == nil && n > m.depth {
				m.deepest, m.depth = name, n
			}
		}
	}
}
