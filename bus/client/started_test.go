package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/bustest"
	"github.com/reckon-project/reckon/bus/client"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const identity = "controller:example"

// intake answers reports with their number, once free is closed.
func intake(ctx context.Context, t *testing.T, b bus.Bus, free <-chan struct{}) (names func() []string) {
	t.Helper()
	arrived := make(chan string, 100)
	err := b.Serve(ctx, client.Subject(identity, "fact.>"), func(ctx context.Context, m bus.Message) (bus.Message, error) {
		select {
		case <-free:
		case <-ctx.Done():
			return bus.Message{}, ctx.Err()
		}
		arrived <- m.Subject
		body, err := json.Marshal(client.Stored{Sequence: uint64(len(arrived))})
		return bus.Message{Data: body}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() []string {
		var out []string
		for len(arrived) > 0 {
			out = append(out, <-arrived)
		}
		return out
	}
}

func fact(i int) bus.Entry {
	return bus.Entry{Event: bustest.Fact("example", fmt.Sprintf("web-%02d", i))}
}

func TestStartedReportsKeepTheirOrder(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	b := memory.New(time.Now)
	free := make(chan struct{})
	close(free)
	names := intake(ctx, t, b, free)
	c := client.New(b, identity)
	defer c.Close()
	log := c.Follow()
	var pending []*bus.Pending
	for i := range 50 {
		pending = append(pending, log.Start(fact(i)))
	}
	for i, p := range pending {
		if seq, err := p.Wait(ctx); err != nil || seq != uint64(i+1) {
			t.Fatalf("report %d: %d, %v", i, seq, err)
		}
	}
	if got := names(); len(got) != 50 || !slices.IsSorted(got) {
		t.Errorf("they arrived as %q", got)
	}
}

// What is under way when the client is closed ends with it.
func TestCloseEndsWhatWasStarted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	b := memory.New(time.Now)
	intake(ctx, t, b, nil) // it never answers
	c := client.New(b, identity)
	log := c.Follow()
	pending := []*bus.Pending{log.Start(fact(1)), log.Start(fact(2))}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	pending = append(pending, log.Start(fact(3)))
	for i, p := range pending {
		select {
		case <-p.Done():
		default:
			t.Fatalf("report %d is still under way", i)
		}
		if _, err := p.Wait(ctx); err == nil {
			t.Errorf("report %d is stored", i)
		}
	}
	if _, err := pending[2].Wait(ctx); !errors.Is(err, events.ErrUnavailable) {
		t.Errorf("started after the end: %v", err)
	}
}
