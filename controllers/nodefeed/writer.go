package nodefeed

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/events"
)

// Headers of a feed message. The cause is the newest decision about the object:
// what a node reports about it answers that one, in the same trace.
const (
	HeaderPosition    = "reckon-position"
	HeaderEpoch       = "reckon-epoch"
	HeaderCause       = "reckon-cause"
	HeaderTraceparent = "reckon-traceparent"
)

// writer encodes and puts, several nodes at once, in order for each node.
type writer struct {
	Options
	ctx    context.Context
	epoch  uint64
	shards []chan message
	wg     sync.WaitGroup
}

type message struct {
	subject  string
	object   *events.Object // nil with data nil: a tombstone
	data     []byte
	position uint64

	traceparent string // of the object's newest decision, where it is known
}

// manifest says that a node's feed was complete at a position.
type manifest struct {
	Position uint64   `json:"position"`
	Epoch    uint64   `json:"epoch"`
	Pods     []string `json:"pods"`
	Keys     []string `json:"keys"`
}

func newWriter(ctx context.Context, o Options, epoch uint64) *writer {
	w := &writer{Options: o, ctx: ctx, epoch: epoch, shards: make([]chan message, 4)}
	for i := range w.shards {
		shard := make(chan message, 256)
		w.shards[i] = shard
		w.wg.Go(func() {
			for m := range shard {
				w.write(m)
			}
		})
	}
	return w
}

// close waits for the shards; what they still hold is dropped if ctx has ended.
func (w *writer) close() {
	for _, s := range w.shards {
		close(s)
	}
	w.wg.Wait()
}

func (w *writer) put(node string, key events.Key, o *events.Object, position uint64, traceparent string) {
	w.send(node, message{subject: subject(node, key.Resource, key.Namespace, key.Name), object: o, position: position, traceparent: traceparent})
}

func (w *writer) manifest(node string, m manifest) {
	m.Epoch = w.epoch
	if m.Pods == nil {
		m.Pods = []string{}
	}
	data, err := json.Marshal(m)
	if err != nil {
		panic(err) // numbers and strings
	}
	w.send(node, message{subject: subject(node, "manifest", "", node), data: data, position: m.Position})
}

func (w *writer) send(node string, m message) {
	h := fnv.New32a()
	h.Write([]byte(node))
	select {
	case w.shards[h.Sum32()%uint32(len(w.shards))] <- m:
	case <-w.ctx.Done():
	}
}

// write puts one message, again and again until it is there or the leadership ends.
func (w *writer) write(m message) {
	header := events.Header{
		HeaderPosition: {strconv.FormatUint(m.position, 10)},
		HeaderEpoch:    {strconv.FormatUint(w.epoch, 10)},
	}
	if m.object != nil {
		if m.object.Decision != 0 {
			header[HeaderCause] = []string{strconv.FormatUint(m.object.Decision, 10)}
		}
		if trace := w.traceOf(m); trace != "" {
			header[HeaderTraceparent] = []string{trace}
		}
		data, err := w.encode(m.object.Value)
		if err != nil {
			w.Logger.Error("can't encode for the feed", "key", m.object.Key.String(), "error", err)
			return
		}
		m.data = data
	}
	for w.ctx.Err() == nil {
		err := w.Bus.Feed().Put(w.ctx, m.subject, header, m.data)
		if err == nil || w.ctx.Err() != nil {
			return
		}
		w.Logger.Warn("put to the feed", "subject", m.subject, "error", err)
		retry := time.NewTimer(time.Second)
		select {
		case <-w.ctx.Done():
		case <-retry.C:
		}
		retry.Stop()
	}
}

// traceOf is the trace of a pod's newest decision. At the beginning of a leadership
// pods are seen without their events, so it is looked up.
func (w *writer) traceOf(m message) string {
	if m.traceparent != "" || m.object.Decision == 0 || m.object.Key.Group != "" || m.object.Key.Resource != "pods" {
		return m.traceparent
	}
	e, err := w.Bus.Log().Get(w.ctx, m.object.Decision)
	if err != nil {
		return "" // trimmed: what it began is long over
	}
	return e.Traceparent
}

// encode is the object as nodes get it: with its resourceVersion, opened, and
// without the record of who manages which field.
func (w *writer) encode(value runtime.Object) ([]byte, error) {
	switch v := value.(type) {
	case *corev1.Pod:
		pod := *v
		pod.ManagedFields = nil
		return json.Marshal(&pod)
	case *corev1.Secret:
		if w.Open != nil {
			opened, err := w.Open(v)
			if err != nil {
				return nil, err
			}
			v = opened
		}
		secret := *v
		secret.ManagedFields = nil
		return json.Marshal(&secret)
	}
	if m, ok := value.(metav1.Object); ok && len(m.GetManagedFields()) > 0 {
		value = value.DeepCopyObject()
		value.(metav1.Object).SetManagedFields(nil)
	}
	return json.Marshal(value)
}

func subject(node, resource, namespace, name string) string {
	return "feed." + events.EncodeToken(node) + "." + resource + "." + events.EncodeToken(orNone(namespace)) + "." + events.EncodeToken(name)
}

func orNone(namespace string) string {
	if namespace == "" {
		return "_"
	}
	return namespace
}
