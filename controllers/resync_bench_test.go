package controllers

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// cpu is what the process has used of it.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// stored gives a log with objects and a projection that has folded it.
func stored(b *testing.B, n int) (bus.Bus, *projections.Projection) {
	b.Helper()
	m := memory.New(time.Now)
	for i := range n {
		obj := &corev1.ConfigMap{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("c-%06d", i), UID: types.UID(fmt.Sprint(i))},
		}
		data, err := events.EncodeObject(obj)
		if err != nil {
			b.Fatal(err)
		}
		_, err = m.Log().Append(b.Context(), bus.Entry{Event: &events.Event{
			Prefix: events.PrefixDecision, Key: ConfigMap.Key("default", obj.Name), ID: bus.NewID(), Source: "bench",
			Type: events.Created, Time: time.Now(), ContentType: events.ContentObject, Data: data,
		}})
		if err != nil {
			b.Fatal(err)
		}
	}
	p := projections.New(m.Log())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx)
	}()
	b.Cleanup(func() {
		cancel()
		<-done
	})
	if err := p.WaitFor(b.Context(), uint64(n)); err != nil {
		b.Fatal(err)
	}
	return m, p
}

// BenchmarkResync is a new leader's look at 100,000 objects of which none needs
// anything. Its limit is one second of CPU.
func BenchmarkResync(b *testing.B) {
	const objects = 100_000
	m, p := stored(b, objects)
	b.ReportAllocs()
	var used time.Duration
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		var n atomic.Int64
		c := New("resync").For("", "configmaps").Reconcile(func(_ context.Context, s *projections.Snapshot, k events.Key) (Result, error) {
			if o, ok := projections.Get[*corev1.ConfigMap](s, k); !ok || o.Name != k.Name {
				b.Errorf("there is no %s", k)
			}
			if n.Add(1) == objects {
				cancel()
			}
			return Result{}, nil
		})
		before := cpu()
		if err := Run(ctx, Options{Bus: m, Projection: p, Holder: "bench", Metrics: NewMetrics(), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}, c); err != nil {
			b.Fatal(err)
		}
		used += cpu() - before
	}
	b.ReportMetric(used.Seconds()/float64(b.N), "cpu-s/op")
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N)/objects, "cpu-ns/object")
}
