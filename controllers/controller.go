package controllers

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Reconciler decides what to do about one object.
type Reconciler func(ctx context.Context, s *projections.Snapshot, key events.Key) (Result, error)

// Mapper names the keys that a change concerns. Snapshot s is at or after the
// change. At the start of a leadership each object is seen once, as a change
// without an event and without Old.
type Mapper func(s *projections.Snapshot, c projections.Change, add func(events.Key))

// Controller is a declaration: what is watched, what is written, how it is decided.
type Controller struct {
	name      string
	account   string
	sources   []Source
	watches   []watch
	writes    []string
	reconcile Reconciler
	workers   int
}

type watch struct {
	group, resource string // resource "*": all of them
	mapper          Mapper
}

// New declares a controller. name is the service account it acts as in
// kube-system ("replicaset-controller").
func New(name string) *Controller { return &Controller{name: name, account: name, workers: 8} }

// As sets the service account that the controller acts as, in kube-system or
// "<namespace>:<name>"; default: its name.
func (c *Controller) As(account string) *Controller {
	c.account = account
	return c
}

// user is the service account's name as the API knows it.
func (c *Controller) user() string {
	if strings.Contains(c.account, ":") {
		return "system:serviceaccount:" + c.account
	}
	return "system:serviceaccount:kube-system:" + c.account
}

// Name is the name given to New.
func (c *Controller) Name() string { return c.name }

// For watches the resource whose objects are reconciled.
func (c *Controller) For(group, resource string) *Controller {
	return c.Watches(group, resource, Self)
}

// Owns watches a resource whose objects have a controller of the given kind,
// and maps them to it.
func (c *Controller) Owns(group, resource string, owner Kind) *Controller {
	return c.Watches(group, resource, owner.OfChild)
}

// Watches maps changes of a resource to keys. Resource "*" (with any group)
// stands for all resources.
func (c *Controller) Watches(group, resource string, m Mapper) *Controller {
	c.watches = append(c.watches, watch{group, resource, m})
	return c
}

// Reads says that Reconcile reads a resource without being called for its
// changes. A program of its own has in its snapshots what its controllers
// declare to watch, own or read, and nothing else.
func (c *Controller) Reads(group, resource string) *Controller {
	return c.Watches(group, resource, func(*projections.Snapshot, projections.Change, func(events.Key)) {})
}

// Source is what a controller learns from outside the log. It runs while this
// process leads, until ctx ends, and names the keys to reconcile. What it learns is
// kept where Reconcile reads it; nothing else of a controller does I/O.
type Source func(ctx context.Context, add func(events.Key)) error

// Source adds a source.
func (c *Controller) Source(f Source) *Controller {
	c.sources = append(c.sources, f)
	return c
}

// Writes declares the event types that the controller appends itself. An append
// of another type is refused.
func (c *Controller) Writes(types ...string) *Controller {
	c.writes = append(c.writes, types...)
	return c
}

// Workers sets how many keys are reconciled at once (default 8).
func (c *Controller) Workers(n int) *Controller {
	c.workers = n
	return c
}

// Reconcile sets the decision.
func (c *Controller) Reconcile(f Reconciler) *Controller {
	c.reconcile = f
	return c
}

// Reconciler is the decision set with Reconcile.
func (c *Controller) Reconciler() Reconciler { return c.reconcile }

func (c *Controller) mayWrite(t string) bool { return slices.Contains(c.writes, t) }

// Result is what a reconcile wants done.
type Result struct {
	Intents []Intent
	// RequeueAfter asks for another reconcile after that time; 0: only when
	// something changes.
	RequeueAfter time.Duration
	// Quiet asks not to be reconciled for that time whatever changes: a
	// controller with costly passes over many objects takes several changes at once.
	Quiet time.Duration
}

// Do is a Result of intents.
func Do(intents ...Intent) Result { return Result{Intents: intents} }

type callKey struct{}

// call is the context of a reconcile.
type call struct {
	context.Context
	now     time.Time
	failure error
}

// Value implements context.Context.
func (c *call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// Now is the time of this reconcile.
func Now(ctx context.Context) time.Time {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c.now
	}
	return time.Time{}
}

// Failure is the error that stopped this key's previous intents, nil if they
// were all carried out. Conflicts don't count.
func Failure(ctx context.Context) error {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c.failure
	}
	return nil
}

// WithCall gives the context of a reconcile at a time after a failure (nil: none).
// The runtime does that; it is exported for tests and backtests.
func WithCall(ctx context.Context, now time.Time, failure error) context.Context {
	return &call{ctx, now, failure}
}
