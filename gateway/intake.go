package gateway

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"runtime/debug"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/handlers/fieldmanager"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	api "k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/utils/lru"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway/store"
	"github.com/reckon-project/reckon/projections"
)

// shortWay takes in pods that built-in controllers make by the thousand from one
// template. Such a create is authorized, defaulted, admitted, validated and stored
// by the same parts as any other, in the same order, and gives the same event (a
// test compares them). What it spares, more than half of the cost, is the way there:
// JSON, the HTTP filters and their goroutines, and working out anew who manages which
// field: that is learnt from the first pod, which comes the long way, for all that
// are equal to it but for the name.
//
// It takes nothing while requests are audited.
type shortWay struct {
	log  *projections.Projection
	pods atomic.Pointer[podCreates]
	// samples are the newest pod of each owner and manager that came the long way.
	samples *lru.Cache
	// shapes are the managed fields of what came over HTTP, by client and shape.
	shapes *lru.Cache
}

// podCreates are the parts of the handler of POST pods.
type podCreates struct {
	storage    rest.Creater
	admission  admission.Interface
	authorizer authorizer.Authorizer
}

type sampleKey struct {
	manager string
	owner   types.UID
}

type sample struct {
	name   string
	pod    *corev1.Pod // without its name
	fields *metav1.ManagedFieldsEntry
}

func newShortWay(p *projections.Projection) *shortWay {
	return &shortWay{log: p, samples: lru.New(1024), shapes: lru.New(1024)}
}

const createWithin = 34 * time.Second // as in the long way

var (
	podKind     = corev1.SchemeGroupVersion.WithKind("Pod")
	podResource = corev1.SchemeGroupVersion.WithResource("pods")
	podObjects  = admission.NewObjectInterfacesFromScheme(legacyscheme.Scheme)
)

// CreateObject creates an object as POST does, if it is of those that are taken
// in the short way; if not, nothing was done. manager is the field manager, header
// holds the headers of origin.go. An error has an API status.
func (t *inProcessTransport) CreateObject(ctx context.Context, obj runtime.Object, manager string, header http.Header) (version uint64, taken bool, err error) {
	pod, ok := obj.(*corev1.Pod)
	if !ok || t.short == nil || t.base.Err() != nil || ctx.Err() != nil {
		return 0, false, nil
	}
	parts := t.short.pods.Load()
	if parts == nil {
		return 0, false, nil
	}
	fields := t.short.fieldsOf(pod, manager)
	if fields == nil {
		return 0, false, nil
	}
	t.running.Add(1)
	defer t.running.Done()
	ctx, cancel := context.WithTimeout(ctx, createWithin)
	defer cancel()
	defer context.AfterFunc(t.base, cancel)()
	defer func() {
		if p := recover(); p != nil {
			version, taken, err = 0, true, apierrors.NewInternalError(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	var origin store.Origin
	if v := header.Get(headerTraceparent); validTraceparent(v) {
		origin.Traceparent = v
	}
	if err := readOrigin(&origin, header, t.identity); err != nil {
		return 0, true, apierrors.NewBadRequest(err.Error())
	}
	ctx = store.WithOrigin(withIdentity(ctx, t.identity), origin)
	return parts.create(ctx, t.identity, pod, manager, fields)
}

// create does what upstream's create handler does between reading the request
// and writing the answer.
func (c *podCreates) create(ctx context.Context, id identity, given *corev1.Pod, manager string, fields *metav1.ManagedFieldsEntry) (uint64, bool, error) {
	info := &request.RequestInfo{
		IsResourceRequest: true, Verb: "create", APIPrefix: "api", APIVersion: "v1", Resource: "pods", Namespace: given.Namespace,
		Path: "/api/v1/namespaces/" + given.Namespace + "/pods", Parts: []string{"pods"},
	}
	decision, _, err := c.authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User: id.user, Verb: info.Verb, Namespace: info.Namespace, APIVersion: info.APIVersion, Resource: info.Resource,
		ResourceRequest: true, Path: info.Path,
	})
	if err != nil || decision != authorizer.DecisionAllow {
		return 0, false, nil // the long way says so
	}
	ctx = request.WithRequestInfo(request.WithNamespace(request.WithUser(ctx, id.user), given.Namespace), info)

	versioned := given.DeepCopy()
	legacyscheme.Scheme.Default(versioned)
	pod := &api.Pod{}
	if err := legacyscheme.Scheme.Convert(versioned, pod, nil); err != nil {
		return 0, true, apierrors.NewBadRequest(err.Error())
	}
	stored, err := c.store(ctx, id.user, pod, manager, fields)
	if err != nil {
		return 0, !apierrors.IsRequestEntityTooLargeError(err), err
	}
	version, err := versionOf(stored)
	return version, true, err
}

// store admits and stores a pod, which it changes.
func (c *podCreates) store(ctx context.Context, who user.Info, pod *api.Pod, manager string, fields *metav1.ManagedFieldsEntry) (runtime.Object, error) {
	rest.WipeObjectMetaSystemFields(pod)
	entry := *fields
	now := metav1.Now().Rfc3339Copy()
	entry.Time = &now
	pod.ManagedFields = []metav1.ManagedFieldsEntry{entry}

	options := &metav1.CreateOptions{FieldManager: manager}
	options.SetGroupVersionKind(metav1.SchemeGroupVersion.WithKind("CreateOptions"))
	attributes := admission.NewAttributesRecord(pod, nil, podKind, pod.Namespace, pod.Name, podResource, "", admission.Create, options, false, who)
	admit := fieldmanager.NewManagedFieldsValidatingAdmissionController(c.admission)
	if mutating, ok := admit.(admission.MutationInterface); ok && mutating.Handles(admission.Create) {
		if err := mutating.Admit(ctx, attributes, podObjects); err != nil {
			return nil, err
		}
	}
	return c.storage.Create(ctx, pod, rest.AdmissionToValidateObjectFunc(admit, attributes, podObjects), options)
}

func versionOf(o runtime.Object) (uint64, error) {
	pod, ok := o.(*api.Pod)
	if !ok {
		return 0, apierrors.NewInternalError(fmt.Errorf("a created pod is a %T", o))
	}
	var version uint64
	if _, err := fmt.Sscan(pod.ResourceVersion, &version); err != nil {
		return 0, apierrors.NewInternalError(fmt.Errorf("resourceVersion %q: %w", pod.ResourceVersion, err))
	}
	return version, nil
}

// fieldsOf is who manages which fields of a pod, learnt from one that was equal
// but for its name; nil if there was none yet, and then this one is to be it.
func (w *shortWay) fieldsOf(pod *corev1.Pod, manager string) *metav1.ManagedFieldsEntry {
	if pod.Name == "" || pod.Namespace == "" || len(pod.OwnerReferences) != 1 || len(pod.ManagedFields) > 0 {
		return nil
	}
	key := sampleKey{manager, pod.OwnerReferences[0].UID}
	nameless := *pod
	nameless.Name = ""
	known, ok := w.samples.Get(key)
	s, _ := known.(*sample)
	if !ok || !reflect.DeepEqual(s.pod, &nameless) {
		w.samples.Add(key, &sample{name: pod.Name, pod: nameless.DeepCopy()})
		return nil
	}
	if s.fields != nil {
		return s.fields
	}
	made, ok := projections.Get[*corev1.Pod](w.log.Snapshot(), events.Key{Resource: "pods", Namespace: pod.Namespace, Name: s.name})
	if !ok {
		return nil // it isn't there yet, or was refused and comes again
	}
	if len(made.ManagedFields) != 1 || made.ManagedFields[0].Manager != manager || made.OwnerReferences[0].UID != key.owner {
		w.samples.Remove(key)
		return nil
	}
	w.samples.Add(key, &sample{name: s.name, pod: s.pod, fields: made.ManagedFields[0].DeepCopy()})
	return made.ManagedFields[0].DeepCopy()
}
