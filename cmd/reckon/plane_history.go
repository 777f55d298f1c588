package main

import (
	"context"
	"fmt"
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

// keepHistory archives and lets go of the older part of the log.
func (p *plane) keepHistory(ctx context.Context, keep time.Duration) error {
	r, err := p.options.retention(keep)
	if err != nil {
		return err
	}
	return p.retain(ctx, r)
}
