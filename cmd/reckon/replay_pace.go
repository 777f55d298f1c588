package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/utils/clock"
)

// pace lets events pass with the pauses that were between them, divided by speed.
type pace struct {
	speed float64
	clock clock.Clock

	begun time.Time // when the first event passed
	first time.Time // when it was stored
}

// parsePace reads "10x"; nil for "", which is as fast as can be.
func parsePace(text string, c clock.Clock) (*pace, error) {
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "x"), 64)
	if err != nil || !(n > 0 && n <= 1e6) {
		return nil, fmt.Errorf("--speed %q: want a factor like 1x, 10x or 0.5x", text)
	}
	return &pace{speed: n, clock: c}, nil
}

// wait returns when an event that was stored at a time is due, or with ctx's error.
func (p *pace) wait(ctx context.Context, stored time.Time) error {
	if p.first.IsZero() {
		p.begun, p.first = p.clock.Now(), stored
	}
	due := p.begun.Add(time.Duration(float64(stored.Sub(p.first)) / p.speed))
	left := due.Sub(p.clock.Now())
	if left <= 0 {
		return ctx.Err()
	}
	timer := p.clock.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
