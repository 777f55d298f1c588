package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/reckon-project/reckon/events"
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

// trimHistory removes what is older than the history to keep, once an hour.
// What can't be trimmed yet, because two checkpoints don't cover it, waits.
func (p *plane) trimHistory(ctx context.Context, keep time.Duration) error {
	if keep == 0 {
		return nil
	}
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		position, err := p.log.PositionAt(ctx, time.Now().Add(-keep))
		if err == nil && position > 0 {
			_, err = p.log.Trim(ctx, position, "plane")
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, events.ErrGone) && !errors.Is(err, events.ErrUnavailable) {
			slog.Warn("history can't be trimmed", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
