package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// watcher is what a typed client has.
type watcher interface {
	Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error)
}

// follow returns once n objects are done. It watches: lists of thousands of
// objects would cost the server more than what is measured.
func follow(ctx context.Context, limit time.Duration, what string, w watcher, n int, done func(runtime.Object) bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		reached, err := followOnce(ctx, w, n, done)
		if reached {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: not within %s (last error: %v)", what, limit, err)
		}
	}
}

// followOnce is follow until the watch ends.
func followOnce(ctx context.Context, w watcher, n int, done func(runtime.Object) bool) (bool, error) {
	events, err := w.Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return false, err
	}
	defer events.Stop()
	are := map[string]bool{}
	for e := range events.ResultChan() {
		o, ok := e.Object.(metav1.Object)
		if !ok {
			continue
		}
		if e.Type == watch.Deleted || !done(e.Object) {
			delete(are, o.GetName())
			continue
		}
		if are[o.GetName()] = true; len(are) == n {
			return true, nil
		}
	}
	return false, fmt.Errorf("the watch ended with %d of %d", len(are), n)
}
