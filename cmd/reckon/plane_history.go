package main

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// forever keeps the whole history.
const forever = "forever"

// parseHistory reads how much history is kept: "30d", "12h" or "forever" (0).
func parseHistory(text string) (time.Duration, error) {
	if text == forever {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("--history %q: want a number of days or hours like 30d or 12h, or %s", text, forever)
	}
	return d, nil
}

// keepHistory archives and lets go of the older part of the log, on one server.
func (p *plane) keepHistory(ctx context.Context, keep time.Duration) error {
	r, err := p.options.retention(keep)
	if err != nil {
		return err
	}
	if p.member != nil {
		return p.led(ctx, "history", func(ctx context.Context) error { return p.retain(ctx, r) })
	}
	return p.retain(ctx, r)
}

// led runs f on the one server of a cluster that leads component, again and
// again, until ctx ends.
func (p *plane) led(ctx context.Context, component string, f func(context.Context) error) error {
	for {
		l, err := p.bus.Lead(ctx, component, p.holder)
		if err == nil {
			err = f(l.Context)
			l.Release()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		slog.Info("leadership ended, waiting for it again", "component", component, "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}
