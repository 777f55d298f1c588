package store_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	api "k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/events/install"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway/store"
	"github.com/reckon-project/reckon/projections"
	"github.com/reckon-project/reckon/projections/sealed"
)

// cluster is a server's stores: a factory on a bus.
type cluster struct {
	*store.Factory
	bus bus.Bus
	log *projections.Projection
}

func newCluster(t *testing.T, b bus.Bus, sealer func(schema.GroupResource) store.Sealer) *cluster {
	t.Helper()
	o := store.FactoryOptions{
		Log: b.Log(), Projection: projections.New(b.Log()),
		Volatile: b.Volatile(), VolatileProjection: projections.New(b.Volatile(), projections.Volatile()),
		Schemes: []*runtime.Scheme{legacyscheme.Scheme}, Sealer: sealer,
	}
	c := &cluster{Factory: store.NewFactory(o), bus: b, log: o.Projection}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { o.Projection.Run(ctx) })
	running.Go(func() { o.VolatileProjection.Run(ctx) })
	running.Go(func() { c.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// storeOf makes the store of a resource whose objects are like obj.
func (c *cluster) storeOf(t *testing.T, r schema.GroupResource, version schema.GroupVersion, prefix string, obj, list runtime.Object) storage.Interface {
	t.Helper()
	config := (&storagebackend.Config{
		Codec: legacyscheme.Codecs.LegacyCodec(version), EncodeVersioner: version,
	}).ForResource(r)
	s, _, err := c.Decorator(config, prefix, nil, obj.DeepCopyObject, list.DeepCopyObject, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (c *cluster) pods(t *testing.T) storage.Interface {
	return c.storeOf(t, schema.GroupResource{Resource: "pods"}, corev1.SchemeGroupVersion, "/pods", &api.Pod{}, &api.PodList{})
}

var podKey = events.Key{Resource: "pods", Namespace: "default", Name: "web"}

func newPod() *api.Pod {
	pod := &api.Pod{}
	internal(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", UID: "u1"},
		Spec:       corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "c", Image: "i"}}},
	}, pod)
	return pod
}

// internal turns a versioned object into what a registry gets: with defaults,
// in the internal type.
func internal(versioned, into runtime.Object) {
	legacyscheme.Scheme.Default(versioned)
	if err := legacyscheme.Scheme.Convert(versioned, into, nil); err != nil {
		panic(err)
	}
}

// report appends a fact about the pod, as its node's agent does.
func (c *cluster) report(t *testing.T, n uint64, phase string) {
	t.Helper()
	_, err := c.bus.Log().Append(t.Context(), bus.Entry{Event: &events.Event{
		Prefix: events.PrefixFact, Reporter: "n1", Key: podKey, UID: "u1", Counter: events.Counter{Incarnation: 1, N: n},
		ID: bus.NewID(), Source: "agent/n1", Type: events.Reported, Time: time.Now(),
		ContentType: events.ContentPatch, Data: fmt.Appendf(nil, `{"status":{"phase":%q}}`, phase),
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, s storage.Interface, key string, obj runtime.Object) {
	t.Helper()
	if err := s.Create(t.Context(), key, obj, nil, 0); err != nil {
		t.Fatal(err)
	}
}

// TestFactBetween: a fact that comes between an update's reading and its
// writing makes it decide again, and neither is lost.
func TestFactBetween(t *testing.T) {
	c := newCluster(t, memory.New(time.Now), nil)
	pods := c.pods(t)
	create(t, pods, "/pods/default/web", newPod())
	calls := 0
	out := &api.Pod{}
	err := pods.GuaranteedUpdate(t.Context(), "/pods/default/web", out, false, nil, storage.SimpleUpdate(func(in runtime.Object) (runtime.Object, error) {
		if calls++; calls == 1 {
			c.report(t, 1, "Running")
		}
		in.(*api.Pod).Labels = map[string]string{"a": "b"}
		return in, nil
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if calls != 2 || out.Labels["a"] != "b" || out.Status.Phase != api.PodRunning {
		t.Errorf("after %d calls: labels %v, phase %q", calls, out.Labels, out.Status.Phase)
	}
}

// TestFactBetweenConflict: the same, when the caller named a resourceVersion.
func TestFactBetweenConflict(t *testing.T) {
	c := newCluster(t, memory.New(time.Now), nil)
	pods := c.pods(t)
	pod := newPod()
	if err := pods.Create(t.Context(), "/pods/default/web", pod.DeepCopy(), pod, 0); err != nil {
		t.Fatal(err)
	}
	calls := 0
	err := pods.GuaranteedUpdate(t.Context(), "/pods/default/web", &api.Pod{}, false, nil, func(in runtime.Object, meta storage.ResponseMeta) (runtime.Object, *uint64, error) {
		if calls++; calls == 1 {
			c.report(t, 1, "Running")
		}
		if strconv.FormatUint(meta.ResourceVersion, 10) != pod.ResourceVersion { // what the registry does
			return nil, nil, apierrors.NewConflict(schema.GroupResource{Resource: "pods"}, "web", errors.New("modified"))
		}
		in.(*api.Pod).Labels = map[string]string{"a": "b"}
		return in, nil, nil
	}, nil)
	if !apierrors.IsConflict(err) {
		t.Errorf("want a conflict, got %v", err)
	}
	err = pods.Delete(t.Context(), "/pods/default/web", &api.Pod{}, &storage.Preconditions{ResourceVersion: &pod.ResourceVersion},
		storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{})
	if !storage.IsInvalidObj(err) {
		t.Errorf("deleted at an old version: %v", err)
	}
}

// TestNothingChanged: an update that changes nothing appends nothing.
func TestNothingChanged(t *testing.T) {
	c := newCluster(t, memory.New(time.Now), nil)
	pods := c.pods(t)
	create(t, pods, "/pods/default/web", newPod())
	_, before, _ := c.bus.Log().Range(t.Context())
	err := pods.GuaranteedUpdate(t.Context(), "/pods/default/web", &api.Pod{}, false, nil, storage.SimpleUpdate(func(in runtime.Object) (runtime.Object, error) {
		return in, nil
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, after, _ := c.bus.Log().Range(t.Context()); after != before {
		t.Errorf("%d events were appended", after-before)
	}
}

// TestTwoServers counts to 80 from two servers at once; no count is lost.
func TestTwoServers(t *testing.T) {
	b := memory.New(time.Now)
	first := newCluster(t, b, nil).pods(t)
	create(t, first, "/pods/default/web", newPod())
	var writers sync.WaitGroup
	for _, pods := range []storage.Interface{first, newCluster(t, b, nil).pods(t)} {
		for range 4 {
			writers.Go(func() {
				for range 10 {
					err := pods.GuaranteedUpdate(t.Context(), "/pods/default/web", &api.Pod{}, false, nil, storage.SimpleUpdate(func(in runtime.Object) (runtime.Object, error) {
						pod := in.(*api.Pod)
						n, _ := strconv.Atoi(pod.Annotations["n"])
						pod.Annotations = map[string]string{"n": strconv.Itoa(n + 1)}
						return pod, nil
					}), nil)
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	writers.Wait()
	out := &api.Pod{}
	if err := newCluster(t, b, nil).pods(t).Get(t.Context(), "/pods/default/web", storage.GetOptions{}, out); err != nil {
		t.Fatal(err)
	}
	if out.Annotations["n"] != "80" {
		t.Errorf("counted to %s", out.Annotations["n"])
	}
}

// TestEventContents: the log says who did what, through which request, and why.
func TestEventContents(t *testing.T) {
	c := newCluster(t, memory.New(time.Now), nil)
	deployments := c.storeOf(t, schema.GroupResource{Group: "apps", Resource: "deployments"}, appsv1.SchemeGroupVersion, "/deployments", &apps.Deployment{}, &apps.DeploymentList{})
	web := &apps.Deployment{}
	internal(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default"}}, web)
	create(t, deployments, "/deployments/default/web", web)
	ctx := request.WithUser(t.Context(), &user.DefaultInfo{Name: "jane"})
	ctx = request.WithRequestInfo(ctx, &request.RequestInfo{IsResourceRequest: true, Verb: "update", Subresource: "scale"})
	ctx = store.WithTraceparent(ctx, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	ctx = store.WithCause(ctx, 1)
	err := deployments.GuaranteedUpdate(ctx, "/deployments/default/web", &apps.Deployment{}, false, nil, storage.SimpleUpdate(func(in runtime.Object) (runtime.Object, error) {
		in.(*apps.Deployment).Spec.Replicas = 5
		return in, nil
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := c.bus.Log().Last(t.Context(), "log.apps.deployments.default.web")
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(e.Type, " ", e.Actor, " ", e.Verb, " ", e.Cause, " ", e.Traceparent, " ", string(e.Data), " ", e.Source)
	want := `scaled jane update/scale [1] 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 {"spec":{"replicas":5}} gateway`
	if got != want {
		t.Errorf("the event is\n%s, want\n%s", got, want)
	}
}

// TestFencedWriter: who no longer leads is told so, and doesn't try again.
func TestFencedWriter(t *testing.T) {
	c := newCluster(t, memory.New(time.Now), nil)
	pods := c.pods(t)
	create(t, pods, "/pods/default/web", newPod())
	var epochs []uint64
	for range 2 {
		l, err := c.bus.Lead(t.Context(), "podgc", "server")
		if err != nil {
			t.Fatal(err)
		}
		l.Release()
		epochs = append(epochs, l.Epoch)
	}
	remove := func(epoch uint64) error {
		ctx := store.WithOrigin(t.Context(), store.Origin{Component: "podgc", Epoch: epoch})
		return pods.Delete(ctx, "/pods/default/web", &api.Pod{}, nil, storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{})
	}
	if err := remove(epochs[0]); !storage.IsConflict(err) {
		t.Errorf("a fenced leader's deletion: %v", err)
	}
	if err := remove(epochs[1]); err != nil {
		t.Errorf("the leader's deletion: %v", err)
	}
}

// TestEventsInTwoGroups: an Event written in one group is read, listed and
// watched in the other, and expires in both.
func TestEventsInTwoGroups(t *testing.T) {
	c := newCluster(t, memory.New(time.Now), nil)
	core := c.storeOf(t, schema.GroupResource{Resource: "events"}, corev1.SchemeGroupVersion, "/events", &api.Event{}, &api.EventList{})
	newer := c.storeOf(t, schema.GroupResource{Group: "events.k8s.io", Resource: "events"}, corev1.SchemeGroupVersion, "/events", &api.Event{}, &api.EventList{})
	w, err := newer.Watch(t.Context(), "/events/default", storage.ListOptions{ResourceVersion: "0", Recursive: true, Predicate: storage.Everything})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	e := &api.Event{ObjectMeta: metav1.ObjectMeta{Name: "e1", Namespace: "default"}, Reason: "Hello"}
	if err := core.Create(t.Context(), "/events/default/e1", e, nil, 1); err != nil {
		t.Fatal(err)
	}
	out := &api.Event{}
	if err := newer.Get(t.Context(), "/events/default/e1", storage.GetOptions{}, out); err != nil || out.Reason != "Hello" {
		t.Errorf("read %v, %v", out, err)
	}
	for _, want := range []watch.EventType{watch.Added, watch.Deleted} {
		if got := <-w.ResultChan(); got.Type != want {
			t.Fatalf("watched %v, want %s", got, want)
		}
	}
	if _, last, _ := c.bus.Log().Range(t.Context()); last != 1 {
		t.Errorf("LOG holds %d events, want its opening only", last)
	}
}

// TestSecretSealed: a Secret's value is in no event, comes back to who reads
// it, and is gone for good after its deletion.
func TestSecretSealed(t *testing.T) {
	files, err := sealed.NewFileStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := sealed.NewKeyring(make([]byte, 32), files)
	if err != nil {
		t.Fatal(err)
	}
	c := newCluster(t, memory.New(time.Now), store.SealSecrets(keys))
	secrets := c.storeOf(t, schema.GroupResource{Resource: "secrets"}, corev1.SchemeGroupVersion, "/secrets", &api.Secret{}, &api.SecretList{})
	create(t, secrets, "/secrets/default/s", &api.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "default", UID: "u9"},
		Data:       map[string][]byte{"password": []byte("hunter2"), "user": []byte("jane")},
	})
	out := &api.Secret{}
	err = secrets.GuaranteedUpdate(t.Context(), "/secrets/default/s", out, false, nil, storage.SimpleUpdate(func(in runtime.Object) (runtime.Object, error) {
		in.(*api.Secret).Data["user"] = []byte("joe")
		return in, nil
	}), nil)
	if err != nil || string(out.Data["password"]) != "hunter2" || string(out.Data["user"]) != "joe" {
		t.Fatalf("updated to %q, %v", out.Data, err)
	}
	stored := c.log.Snapshot().Get(events.Key{Resource: "secrets", Namespace: "default", Name: "s"}).Value.(*corev1.Secret)
	removed := &api.Secret{}
	if err := secrets.Delete(t.Context(), "/secrets/default/s", removed, nil, storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if string(removed.Data["password"]) != "hunter2" {
		t.Errorf("the deletion answered %q", removed.Data)
	}
	if _, err := keys.Open(stored); !errors.Is(err, sealed.ErrDestroyed) {
		t.Errorf("the deleted Secret still opens: %v", err)
	}
	for e, err := range c.bus.Log().Read(t.Context(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range []string{"hunter2", "aHVudGVyMg", "amFuZQ"} {
			if strings.Contains(string(e.Data)+e.Note, value) {
				t.Errorf("event %d (%s) shows %s", e.Sequence, e.Type, value)
			}
		}
		if e.Type == events.Updated && strings.Contains(string(e.Data), "password") {
			t.Errorf("the unchanged value was sealed again: %s", e.Data)
		}
	}
}

// TestWatchAcrossRestart: a watch goes on from where it was at another server
// that started later.
func TestWatchAcrossRestart(t *testing.T) {
	b := memory.New(time.Now)
	first := newCluster(t, b, nil).pods(t)
	pod := newPod()
	if err := first.Create(t.Context(), "/pods/default/web", pod.DeepCopy(), pod, 0); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		label(t, first, strconv.Itoa(i))
	}
	second := newCluster(t, b, nil).pods(t)
	w, err := second.Watch(t.Context(), "/pods", storage.ListOptions{ResourceVersion: pod.ResourceVersion, Recursive: true, Predicate: storage.Everything})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	label(t, second, "3")
	for i := range 4 {
		e := <-w.ResultChan()
		if e.Type != watch.Modified {
			t.Fatalf("watched %v", e)
		}
		if got := e.Object.(runtime.CacheableObject).GetObject().(*api.Pod).Labels["n"]; got != strconv.Itoa(i) {
			t.Errorf("watched label %s, want %d", got, i)
		}
	}
}

func label(t *testing.T, s storage.Interface, value string) {
	t.Helper()
	err := s.GuaranteedUpdate(t.Context(), "/pods/default/web", &api.Pod{}, false, nil, storage.SimpleUpdate(func(in runtime.Object) (runtime.Object, error) {
		in.(*api.Pod).Labels = map[string]string{"n": value}
		return in, nil
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
}

// TestCustomResource: kinds that no scheme knows.
func TestCustomResource(t *testing.T) {
	c := newCluster(t, memory.New(time.Now), nil)
	kind := schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Widget"}
	newFunc := func() runtime.Object {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(kind)
		return u
	}
	newListFunc := func() runtime.Object {
		u := &unstructured.UnstructuredList{}
		u.SetGroupVersionKind(kind.GroupVersion().WithKind("WidgetList"))
		return u
	}
	config := (&storagebackend.Config{Codec: unstructured.UnstructuredJSONScheme}).ForResource(schema.GroupResource{Group: "example.com", Resource: "widgets"})
	s, _, err := c.Decorator(config, "/example.com/widgets", nil, newFunc, newListFunc, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	in := newFunc().(*unstructured.Unstructured)
	in.SetName("w1")
	in.SetNamespace("default")
	in.Object["spec"] = map[string]any{"size": int64(3)}
	const key = "/example.com/widgets/default/w1"
	created := newFunc()
	if err := s.Create(t.Context(), key, in, created, 0); err != nil {
		t.Fatal(err)
	}
	w, err := s.Watch(t.Context(), "/example.com/widgets", storage.ListOptions{
		ResourceVersion: created.(*unstructured.Unstructured).GetResourceVersion(), Recursive: true, Predicate: storage.Everything,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	out := newFunc().(*unstructured.Unstructured)
	err = s.GuaranteedUpdate(t.Context(), key, out, false, nil, storage.SimpleUpdate(func(in runtime.Object) (runtime.Object, error) {
		return in, unstructured.SetNestedField(in.(*unstructured.Unstructured).Object, int64(4), "spec", "size")
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if size, _, _ := unstructured.NestedInt64(out.Object, "spec", "size"); size != 4 {
		t.Errorf("updated to %v", out.Object)
	}
	list := newListFunc().(*unstructured.UnstructuredList)
	if err := s.GetList(t.Context(), "/example.com/widgets", storage.ListOptions{Recursive: true, Predicate: storage.Everything}, list); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 1 || list.Items[0].GetKind() != "Widget" || list.Items[0].GetResourceVersion() != out.GetResourceVersion() {
		t.Errorf("listed %v", list.Items)
	}
	if got := <-w.ResultChan(); got.Type != watch.Modified {
		t.Errorf("watched %v", got)
	}
}

// TestLogStartsAboveZero: an empty cluster's list has a resourceVersion.
func TestLogStartsAboveZero(t *testing.T) {
	list := &api.PodList{}
	if err := newCluster(t, memory.New(time.Now), nil).pods(t).GetList(t.Context(), "/pods", storage.ListOptions{Recursive: true, Predicate: storage.Everything}, list); err != nil {
		t.Fatal(err)
	}
	if list.ResourceVersion == "" || list.ResourceVersion == "0" {
		t.Errorf("the list's resourceVersion is %q", list.ResourceVersion)
	}
}

// labelAt lists the pod at exactly a version and gives its label.
func labelAt(t *testing.T, s storage.Interface, version string) string {
	t.Helper()
	list := &api.PodList{}
	err := s.GetList(t.Context(), "/pods", storage.ListOptions{
		ResourceVersion: version, ResourceVersionMatch: metav1.ResourceVersionMatchExact, Recursive: true, Predicate: storage.Everything,
	}, list)
	if err != nil || len(list.Items) != 1 || list.ResourceVersion != version {
		t.Fatalf("listed %v at %s, %v", list.Items, version, err)
	}
	return list.Items[0].Labels["n"]
}
