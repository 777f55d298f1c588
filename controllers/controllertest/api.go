package controllertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// API is a small Kubernetes API over a log.
type API struct {
	Bus        bus.Bus
	Projection *projections.Projection
	Clock      func() time.Time
	// Refuse may refuse a write (nil: accept all), as admission would.
	Refuse func(method string, k events.Key) error

	ids atomic.Uint64
}

// Intake is the API for controllers.
func (a *API) Intake(controller string) http.RoundTripper {
	return transport{a, "system:serviceaccount:kube-system:" + controller}
}

type transport struct {
	api  *API
	user string
}

// RoundTrip serves one request of the Kubernetes REST API.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	w := write{user: t.user, header: r.Header, method: r.Method, body: body}
	out, code := any(nil), http.StatusOK
	err := w.parse(r.URL.Path)
	if err == nil {
		out, err = t.api.do(r.Context(), w)
	}
	if err != nil {
		var status *apierrors.StatusError
		if !errors.As(err, &status) {
			status = apierrors.NewInternalError(err)
		}
		out, code = status.Status(), int(status.Status().Code)
	}
	data, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	h := http.Header{"Content-Type": {"application/json"}}
	return &http.Response{StatusCode: code, Status: strconv.Itoa(code), Header: h, Body: io.NopCloser(bytes.NewReader(data)), Request: r}, nil
}

// write is one parsed request.
type write struct {
	user, method string
	header       http.Header
	key          events.Key
	subresource  string
	body         []byte
}

func (w *write) parse(path string) error {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		w.key.Group, parts = parts[1], parts[3:]
	default:
		return apierrors.NewBadRequest("no such path: " + path)
	}
	if parts[0] == "namespaces" && len(parts) > 2 && parts[2] != "finalize" && parts[2] != "status" {
		w.key.Namespace, parts = parts[1], parts[2:]
	}
	for i, field := range []*string{&w.key.Resource, &w.key.Name, &w.subresource} {
		if i < len(parts) {
			*field = parts[i]
		}
	}
	return nil
}

func (w *write) resource() schema.GroupResource {
	return schema.GroupResource{Group: w.key.Group, Resource: w.key.Resource}
}

// do carries out one write: decide on a snapshot, append, and again on a conflict.
func (a *API) do(ctx context.Context, w write) (any, error) {
	if a.Refuse != nil {
		if err := a.Refuse(w.method, w.key); err != nil {
			return nil, err
		}
	}
	for {
		s := a.Projection.Snapshot()
		e, err := a.decide(s, &w)
		if err != nil {
			return nil, err
		}
		if e == nil { // nothing changes
			return s.Get(w.key).Value, nil
		}
		w.stamp(e)
		e.Prefix, e.Key, e.ID, e.Source, e.Time = events.PrefixDecision, w.key, bus.NewID(), "gateway", a.Clock()
		seq, err := a.Bus.Log().Append(ctx, bus.Entry{Event: e, Expect: bus.Expect(s.Decision(w.key))})
		if errors.Is(err, events.ErrConflict) {
			if err := a.Projection.WaitFor(ctx, s.Position()+1); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := a.Projection.WaitFor(ctx, seq); err != nil {
			return nil, err
		}
		after := a.Projection.Snapshot().Get(w.key)
		epoch := a.Projection.Snapshot().Epoch(e.Component)
		switch {
		case e.Epoch != 0 && e.Epoch < epoch && epoch < seq:
			return nil, apierrors.NewConflict(w.resource(), w.key.Name, errors.New("the writer no longer leads"))
		case after.Exists() && after.Version < seq && after.Decision == seq: // void: a fact slipped in
			continue
		case e.Type == events.Deleted:
			return metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess}, nil
		case !after.Exists(): // it was there when the event was appended, and is gone since
			return metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ResourceVersion: strconv.FormatUint(seq, 10)}}, nil
		}
		return after.Value, nil
	}
}

// stamp copies the headers that say why.
func (w *write) stamp(e *events.Event) {
	h := w.header
	if e.Actor, e.Traceparent = w.user, h.Get("traceparent"); e.Traceparent == "" {
		e.Traceparent = bus.NewTraceparent()
	}
	e.Reason, e.Note, e.Component = h.Get(controllers.HeaderReason), h.Get(controllers.HeaderNote), h.Get(controllers.HeaderComponent)
	e.Epoch, _ = strconv.ParseUint(h.Get(controllers.HeaderEpoch), 10, 64)
	for part := range strings.SplitSeq(h.Get(controllers.HeaderCause), ",") {
		if n, err := strconv.ParseUint(part, 10, 64); err == nil {
			e.Cause = append(e.Cause, n)
		}
	}
	e.Verb = map[string]string{"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[w.method]
	if w.subresource != "" {
		e.Verb += "/" + w.subresource
	}
}

// decide turns a write into its event; nil: it changes nothing.
func (a *API) decide(s *projections.Snapshot, w *write) (*events.Event, error) {
	if w.method == http.MethodPost {
		return a.create(s, w)
	}
	old := s.Get(w.key)
	if !old.Exists() {
		return nil, apierrors.NewNotFound(w.resource(), w.key.Name)
	}
	if w.subresource == "scale" && w.method == http.MethodPut {
		return a.scale(old, w)
	}
	switch w.method {
	case http.MethodPatch:
		value, err := w.patch(old.Value)
		if err != nil {
			return nil, err
		}
		return a.replace(old, value.(metav1.Object), w)
	case http.MethodPut:
		value, err := events.DecodeObject(w.body)
		if err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		m := value.(metav1.Object)
		if rv := m.GetResourceVersion(); rv != "" && rv != old.Meta().GetResourceVersion() {
			return nil, apierrors.NewConflict(w.resource(), w.key.Name, errors.New("the object has been modified"))
		}
		return a.replace(old, m, w)
	case http.MethodDelete:
		return a.delete(old, w)
	}
	return nil, apierrors.NewMethodNotSupported(w.resource(), w.method)
}

func (a *API) create(s *projections.Snapshot, w *write) (*events.Event, error) {
	value, err := events.DecodeObject(w.body)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	m := value.(metav1.Object)
	n := a.ids.Add(1)
	if m.GetName() == "" && m.GetGenerateName() != "" {
		m.SetName(fmt.Sprintf("%s%05d", m.GetGenerateName(), n))
	}
	w.key.Name = m.GetName()
	m.SetNamespace(w.key.Namespace)
	if s.Get(w.key).Exists() {
		return nil, apierrors.NewAlreadyExists(w.resource(), w.key.Name)
	}
	if ns, ok := projections.Get[*corev1.Namespace](s, controllers.Namespace.Key("", w.key.Namespace)); ok && ns.DeletionTimestamp != nil {
		return nil, terminating(w)
	}
	m.SetUID(uid(n))
	m.SetCreationTimestamp(metav1.NewTime(a.Clock().Truncate(time.Second)))
	m.SetGeneration(1)
	setDefaults(value)
	data, err := events.EncodeObject(value)
	if err != nil {
		return nil, err
	}
	return &events.Event{Type: events.Created, ContentType: events.ContentObject, Data: data}, nil
}

func terminating(w *write) error {
	err := apierrors.NewForbidden(w.resource(), w.key.Name, fmt.Errorf("namespace %s is being terminated", w.key.Namespace))
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: corev1.NamespaceTerminatingCause, Field: "metadata.namespace"})
	return err
}
