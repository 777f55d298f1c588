package history

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/request"

	"github.com/reckon-project/reckon/events"
	past "github.com/reckon-project/reckon/projections/history"
)

// The origin headers of package gateway, which imports this one.
const (
	headerCause  = "Reckon-Cause"
	headerReason = "Reckon-Reason"
	headerNote   = "Reckon-Note"
)

// plan makes the plan that a request is about.
func (s *server) plan(r *http.Request, k events.Key) (*past.Undo, error) {
	var to uint64
	if r.URL.Query().Get("to") != "" {
		var err error
		if to, err = s.position(r, "to", ""); err != nil {
			return nil, err
		}
	}
	life, err := s.Reader.Object(r.Context(), k)
	if err != nil {
		return nil, err
	}
	return life.PlanUndo(to)
}

func (s *server) planUndo(r *http.Request, k events.Key) (any, error) { return s.plan(r, k) }

// undoTries is how often an undo is tried anew because a status came in between.
const undoTries = 5

// undo writes the earlier version through the API as who asks.
func (s *server) undo(r *http.Request, k events.Key) (any, error) {
	for try := 1; ; try++ {
		out, err := s.tryUndo(r, k)
		var told *apiStatus
		if try < undoTries && errors.As(err, &told) && told.status.Reason == metav1.StatusReasonConflict {
			continue
		}
		return out, err
	}
}

func (s *server) tryUndo(r *http.Request, k events.Key) (any, error) {
	u, err := s.plan(r, k)
	if err != nil {
		return nil, err
	}
	if text := r.URL.Query().Get("resourceVersion"); text != "" {
		seen, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("resourceVersion %q is no number: %w", text, events.ErrInvalid)
		}
		if since := u.ChangedSince(seen); since != 0 {
			return nil, fmt.Errorf("undo %s: event %d changed it since the plan was made: look at it again: %w", k, since, events.ErrConflict)
		}
	}
	value, err := s.restored(r.Context(), k, u)
	if err != nil {
		return nil, err
	}
	body, err := past.Document(value)
	if err != nil {
		return nil, err
	}
	return s.write(r.Context(), k, u, body)
}

// restored is the object to write: the plan's, its values opened.
func (s *server) restored(ctx context.Context, k events.Key, u *past.Undo) (runtime.Object, error) {
	earlier, err := s.open(ctx, k, u.Earlier())
	if err != nil {
		return nil, fmt.Errorf("undo %s: %w", k, err)
	}
	if !u.Present().Exists() {
		snapshot := s.Reader.Projection.Snapshot()
		return u.Value(nil, earlier, func(o metav1.OwnerReference) bool { return snapshot.ByUID(string(o.UID)).Exists() }), nil
	}
	present, err := s.open(ctx, k, u.Present())
	if err != nil {
		return nil, fmt.Errorf("undo %s: %w", k, err)
	}
	return u.Value(present, earlier, nil), nil
}

func (s *server) open(ctx context.Context, k events.Key, o *events.Object) (runtime.Object, error) {
	if s.Sealer == nil {
		return o.Value, nil
	}
	sealer := s.Sealer(schema.GroupResource{Group: k.Group, Resource: k.Resource})
	if sealer == nil {
		return o.Value, nil
	}
	value, _, err := sealer.Open(ctx, k, o.Value)
	if errors.Is(err, events.ErrGone) {
		return nil, fmt.Errorf("its values were destroyed when it was deleted: %w", err)
	}
	return value, err
}

// Undone is the answer to an undo.
type Undone struct {
	Object  past.Ref `json:"object"`
	To      uint64   `json:"to"`
	Version string   `json:"version"` // that it got
}

// write sends the version through the handler chain.
func (s *server) write(ctx context.Context, k events.Key, u *past.Undo, body []byte) (any, error) {
	who, ok := request.UserFrom(ctx)
	if !ok {
		return nil, fmt.Errorf("undo %s: nobody asks: %w", k, events.ErrInvalid)
	}
	var kind metav1.TypeMeta
	if err := json.Unmarshal(body, &kind); err != nil {
		return nil, err
	}
	method, path := http.MethodPut, resourcePath(kind.APIVersion, k)+"/"+url.PathEscape(k.Name)
	if u.Gone {
		method, path = http.MethodPost, resourcePath(kind.APIVersion, k)
	}
	req, err := http.NewRequestWithContext(ctx, method, "https://localhost"+path+"?fieldManager=reckon-undo", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set(headerCause, fmt.Sprint(u.Undoes))
	req.Header.Set(headerReason, "Undone")
	req.Header.Set(headerNote, fmt.Sprintf("%s brought back the version at %d", who.GetName(), u.To))
	answer, err := s.Transport(who).RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("undo %s: %w", k, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("undo %s: %w", k, err)
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return nil, newAPIStatus(answer.StatusCode, text)
	}
	var written metav1.PartialObjectMetadata
	if err := json.Unmarshal(text, &written); err != nil {
		return nil, fmt.Errorf("undo %s: read the answer: %w", k, err)
	}
	return Undone{Object: past.RefTo(k), To: u.To, Version: written.ResourceVersion}, nil
}

// resourcePath is where the API serves a resource.
func resourcePath(apiVersion string, k events.Key) string {
	path := "/apis/" + apiVersion
	if !strings.Contains(apiVersion, "/") {
		path = "/api/" + apiVersion
	}
	if k.Namespace != "" {
		path += "/namespaces/" + url.PathEscape(k.Namespace)
	}
	return path + "/" + k.Resource
}

// apiStatus is what the API answered to a write that it refused.
type apiStatus struct{ status metav1.Status }

func (s *apiStatus) Error() string { return s.status.Message }

func newAPIStatus(code int, body []byte) error {
	s := &apiStatus{}
	if err := json.Unmarshal(body, &s.status); err != nil || s.status.Kind != "Status" {
		s.status = metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
			Message: strings.TrimSpace(string(body)), Code: int32(code),
		}
	}
	return s
}
