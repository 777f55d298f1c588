package store_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/apitesting"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apiserver/pkg/apis/example"
	examplev1 "k8s.io/apiserver/pkg/apis/example/v1"
	"k8s.io/apiserver/pkg/storage"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
	"k8s.io/apiserver/pkg/storage/value"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway/store"
	"github.com/reckon-project/reckon/projections"
)

var (
	scheme = runtime.NewScheme()
	codecs = serializer.NewCodecFactory(scheme)
)

func init() {
	metav1.AddToGroupVersion(scheme, metav1.SchemeGroupVersion)
	utilruntime.Must(example.AddToScheme(scheme))
	utilruntime.Must(examplev1.AddToScheme(scheme))
	utilruntime.Must(examplev1.AddToScheme(events.Scheme)) // the fold keeps example pods as structs
}

// setup is one way to run the suite.
type setup struct {
	name     string
	volatile bool // on VOLATILE instead of LOG
	direct   bool // conversion without the codec
	bus      func(t testing.TB) bus.Bus
}

var setups = []setup{
	{name: "memory", bus: inMemory},
	{name: "memory volatile", bus: inMemory, volatile: true},
	{name: "memory direct", bus: inMemory, direct: true},
	{name: "server", bus: onServer},
	{name: "server volatile", bus: onServer, volatile: true},
}

func inMemory(testing.TB) bus.Bus { return memory.New(time.Now) }

// onServer is an embedded NATS server with file storage.
func onServer(t testing.TB) bus.Bus {
	s, err := server.Start(server.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	b, err := s.Connect("component:gateway")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// errCorrupt is a stored form that can't be opened.
var errCorrupt = fmt.Errorf("bits flipped: %w", store.ErrCorrupt)

// fixture is a store on a log of its own.
type fixture struct {
	store      *store.Store
	log        bus.Log
	projection *projections.Projection
	hub        *store.Hub
	codec      *failingCodec
	sealer     *sealer
	volatile   bool
}

func newFixture(t testing.TB, on setup, sealed bool) *fixture {
	b := on.bus(t)
	f := &fixture{log: b.Log(), volatile: on.volatile, sealer: &sealer{}}
	if on.volatile {
		f.log = b.Volatile()
	}
	f.sealer.transformer = storagetesting.NewPrefixTransformer([]byte("sealed!"), false)
	f.codec = &failingCodec{Codec: apitesting.TestCodec(codecs, examplev1.SchemeGroupVersion)}
	var options []projections.Option
	if on.volatile {
		options = append(options, projections.Volatile())
	}
	f.projection = projections.New(f.log, options...)
	f.hub = store.NewHub(f.projection)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f.projection.Run(ctx) })
	running.Go(func() { f.hub.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	o := store.Options{
		Log: f.log, Projection: f.projection, Hub: f.hub, Volatile: on.volatile,
		Resource: schema.GroupResource{Resource: "pods"}, ResourcePrefix: "/pods/",
		Codec: f.codec, Now: time.Now,
		NewFunc:     func() runtime.Object { return &example.Pod{} },
		NewListFunc: func() runtime.Object { return &example.PodList{} },
	}
	if sealed {
		o.Sealer = f.sealer
	}
	if on.direct {
		o.Schemes, o.EncodeVersioner = []*runtime.Scheme{scheme}, examplev1.SchemeGroupVersion
	}
	s, err := store.New(o)
	if err != nil {
		t.Fatal(err)
	}
	f.store = s
	f.increase(t)
	return f
}

// increase moves the log on by an event about something else.
func (f *fixture) increase(t testing.TB) uint64 {
	t.Helper()
	prefix := events.PrefixDecision
	if f.volatile {
		prefix = events.PrefixVolatile
	}
	seq, err := f.log.Append(t.Context(), bus.Entry{Event: &events.Event{
		Prefix: prefix, Key: events.Key{Group: "test", Resource: "ticks", Name: "tick"},
		ID: bus.NewID(), Source: "test", Type: "ticked", Time: time.Now(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.projection.WaitFor(t.Context(), seq); err != nil {
		t.Fatal(err)
	}
	return seq
}

func (f *fixture) increaseRV(_ context.Context, t *testing.T) int64 { return int64(f.increase(t)) }

// compact forgets what was before a version. Like etcd's it moves the log on by one.
func (f *fixture) compact(_ context.Context, t *testing.T, resourceVersion string) {
	version, err := storage.APIObjectVersioner{}.ParseResourceVersion(resourceVersion)
	if err != nil {
		t.Fatal(err)
	}
	f.hub.Forget(version)
	f.increase(t)
}

// checkStored checks that what is in the log has no resourceVersion or selfLink.
func (f *fixture) checkStored(ctx context.Context, t *testing.T, key string) {
	parts := strings.Split(key, "/")
	k := events.Key{Resource: "pods", Namespace: parts[2], Name: parts[3]}
	subject := k.Subject()
	if f.volatile {
		subject = k.VolatileSubject()
	}
	e, err := f.log.Last(ctx, subject)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"resourceVersion", "selfLink"} {
		if bytes.Contains(e.Data, []byte(field)) {
			t.Errorf("the log holds a %s: %s", field, e.Data)
		}
	}
}

// failingCodec is a codec whose Decode can be told to fail.
type failingCodec struct {
	runtime.Codec
	fail atomic.Bool
}

func (c *failingCodec) setFailing(fail bool) { c.fail.Store(fail) }

func (c *failingCodec) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	if c.fail.Load() {
		return nil, nil, errors.New("the codec was told to fail")
	}
	return c.Codec.Decode(data, defaults, into)
}

// trimmed is a codec without the line feed that ends its JSON: the log has none.
type trimmed struct{ runtime.Codec }

func (c trimmed) Encode(obj runtime.Object, w io.Writer) error {
	data, err := runtime.Encode(c.Codec, obj)
	if err != nil {
		return err
	}
	_, err = w.Write(bytes.TrimSpace(data))
	return err
}

// sealer is a store.Sealer made of a value.Transformer, which is how the suite
// injects faults: the whole object's JSON is transformed into an annotation.
type sealer struct {
	mu          sync.Mutex
	transformer value.Transformer
	fail        atomic.Bool
}

var _ store.Sealer = (*sealer)(nil)

const sealedAnnotation = "sealed"

func (s *sealer) setFailing(fail bool) { s.fail.Store(fail) }

func (s *sealer) current() value.Transformer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transformer
}

func (s *sealer) replace(t value.Transformer) (restore func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.transformer
	s.transformer = t
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.transformer = was
	}
}

type keyContext string

func (k keyContext) AuthenticatedData() []byte { return []byte(k) }

func contextOf(key events.Key) keyContext {
	return keyContext("/" + key.Resource + "/" + key.Namespace + "/" + key.Name)
}

func (s *sealer) Seal(ctx context.Context, key events.Key, v, _ runtime.Object) (runtime.Object, error) {
	data, err := events.EncodeObject(v)
	if err != nil {
		return nil, err
	}
	if data, err = s.current().TransformToStorage(ctx, data, contextOf(key)); err != nil {
		return nil, err
	}
	pod := v.(*examplev1.Pod)
	return &examplev1.Pod{TypeMeta: pod.TypeMeta, ObjectMeta: metav1.ObjectMeta{
		Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID,
		Annotations: map[string]string{sealedAnnotation: base64.StdEncoding.EncodeToString(data)},
	}}, nil
}

func (s *sealer) Open(ctx context.Context, key events.Key, stored runtime.Object) (runtime.Object, bool, error) {
	if s.fail.Load() {
		return nil, false, errors.New("the sealer was told to fail")
	}
	data, err := base64.StdEncoding.DecodeString(stored.(*examplev1.Pod).Annotations[sealedAnnotation])
	if err != nil {
		return nil, false, err
	}
	data, stale, err := s.current().TransformFromStorage(ctx, data, contextOf(key))
	if err != nil {
		return nil, false, err
	}
	v, err := events.DecodeObject(data)
	return v, stale, err
}

// transformed is the store with the hooks through which the suite changes its
// transformer.
type transformedStore struct {
	storage.Interface
	sealer *sealer
}

func (f *fixture) transformed() *transformedStore { return &transformedStore{f.store, f.sealer} }

func (s *transformedStore) UpdatePrefixTransformer(modify storagetesting.PrefixTransformerModifier) func() {
	prefix := *s.sealer.current().(*storagetesting.PrefixTransformer)
	return s.sealer.replace(modify(&prefix))
}

func (s *transformedStore) UpdateTransformer(modify storagetesting.TransformerModifier) func() {
	return s.sealer.replace(modify(s.sealer.current()))
}

// identity is the transformer that does nothing.
type identity struct{}

func (identity) TransformFromStorage(_ context.Context, data []byte, _ value.Context) ([]byte, bool, error) {
	return data, false, nil
}

func (identity) TransformToStorage(_ context.Context, data []byte, _ value.Context) ([]byte, error) {
	return data, nil
}
