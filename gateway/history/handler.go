package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/klog/v2"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway/store"
	past "github.com/reckon-project/reckon/projections/history"
)

// Options is what the answers are made from.
type Options struct {
	Reader     *past.Reader
	Authorizer authorizer.UnconditionalAuthorizer
	// Sealer gives the sealer of a resource's values, nil for none: an undo opens
	// what it brings back.
	Sealer func(schema.GroupResource) store.Sealer
	// Transport is the way into the API as a user.
	Transport func(user.Info) http.RoundTripper
	Now       func() time.Time // nil: time.Now
}

// New gives the handler of everything below Prefix. It stands behind the filters
// that put user and RequestInfo ([Resolver]) into the context.
func New(o Options) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &server{o}
	mux := http.NewServeMux()
	const object = "/{group}/{resource}/{namespace}/{name}"
	mux.HandleFunc("GET "+Prefix+"objects"+object, s.about(s.object))
	mux.HandleFunc("GET "+Prefix+"why"+object, s.about(s.why))
	mux.HandleFunc("GET "+Prefix+"trace"+object, s.about(s.trace))
	mux.HandleFunc("GET "+Prefix+"undo"+object, s.about(s.planUndo))
	mux.HandleFunc("POST "+Prefix+"undo"+object, s.about(s.undo))
	mux.HandleFunc("GET "+Prefix+"diff", func(w http.ResponseWriter, r *http.Request) { answer(w, r, s.diff) })
	return mux
}

type server struct{ Options }

// about answers a question about one object. That the request was authorised as
// one of that object is checked again: without the Resolver in the chain nobody
// would have asked.
func (s *server) about(f func(r *http.Request, k events.Key) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, func(r *http.Request) (any, error) {
			k, ok := parseKey([]string{r.PathValue("group"), r.PathValue("resource"), r.PathValue("namespace"), r.PathValue("name")})
			info, known := request.RequestInfoFrom(r.Context())
			if !ok || !known || !info.IsResourceRequest || (events.Key{Group: info.APIGroup, Resource: info.Resource, Namespace: info.Namespace, Name: info.Name}) != k {
				return nil, fmt.Errorf("%s names no object: %w", r.URL.Path, events.ErrInvalid)
			}
			return f(r, k)
		})
	}
}

// answer writes what f gives as JSON, or its error as a Status.
func answer(w http.ResponseWriter, r *http.Request, f func(*http.Request) (any, error)) {
	out, err := f(r)
	code := http.StatusOK
	if err != nil {
		status := statusOf(err)
		out, code = status, int(status.Code)
		if code >= http.StatusInternalServerError {
			klog.FromContext(r.Context()).Error(err, "a question about the past", "path", r.URL.Path)
		}
	}
	body, err := json.Marshal(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	if _, err := w.Write(body); err != nil {
		klog.FromContext(r.Context()).V(4).Info("who asked is gone", "path", r.URL.Path, "error", err)
	}
}

// statusOf is an error as the API tells it.
func statusOf(err error) *metav1.Status {
	var told *apiStatus
	if errors.As(err, &told) {
		return &told.status
	}
	code, reason := http.StatusInternalServerError, metav1.StatusReasonInternalError
	for _, class := range []struct {
		is     error
		code   int
		reason metav1.StatusReason
	}{
		{events.ErrNotFound, http.StatusNotFound, metav1.StatusReasonNotFound},
		{events.ErrInvalid, http.StatusBadRequest, metav1.StatusReasonBadRequest},
		{events.ErrGone, http.StatusGone, metav1.StatusReasonExpired},
		{events.ErrConflict, http.StatusConflict, metav1.StatusReasonConflict},
		{events.ErrUnavailable, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable},
		{context.DeadlineExceeded, http.StatusGatewayTimeout, metav1.StatusReasonTimeout},
		{context.Canceled, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable},
	} {
		if errors.Is(err, class.is) {
			code, reason = class.code, class.reason
			break
		}
	}
	return &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
		Message: err.Error(), Reason: reason, Code: int32(code),
	}
}

// position reads a moment of a query, or gives the default one.
func (s *server) position(r *http.Request, name, otherwise string) (uint64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		text = otherwise
	}
	m, err := past.ParseMoment(text, s.Now())
	if err != nil {
		return 0, err
	}
	return m.Position(r.Context(), s.Reader.Log)
}

// object answers with an object's events, or a version, or what differs between two.
func (s *server) object(r *http.Request, k events.Key) (any, error) {
	life, err := s.Reader.Object(r.Context(), k)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	switch {
	case q.Get("version") != "":
		at, err := s.position(r, "version", "")
		if err != nil {
			return nil, err
		}
		return version(life, at)
	case q.Get("diff") != "":
		return s.versions(r, life)
	}
	if q.Get("since") != "" {
		since, err := s.position(r, "since", "")
		if err != nil {
			return nil, err
		}
		for len(life.Steps) > 0 && life.Steps[0].Sequence <= since {
			life.Steps = life.Steps[1:]
		}
	}
	if text := q.Get("last"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("last %q is no number above 0: %w", text, events.ErrInvalid)
		}
		life.Steps = life.Steps[max(0, len(life.Steps)-n):]
	}
	return life, nil
}

// version is the object as it was at a position.
func version(life *past.Life, at uint64) (any, error) {
	step := life.At(at)
	if step == nil {
		return nil, fmt.Errorf("%s: the history, which begins at %d, has no version of it at %d: %w", life.Object.Key(), life.Begins, at, events.ErrNotFound)
	}
	value, ok := step.Value()
	if !ok {
		return nil, fmt.Errorf("%s: at %d it was deleted: %w", life.Object.Key(), at, events.ErrNotFound)
	}
	return past.Document(value)
}

// versions is what differs between the versions of an object at A and B.
func (s *server) versions(r *http.Request, life *past.Life) (any, error) {
	a, b, ok := strings.Cut(r.URL.Query().Get("diff"), "..")
	if !ok {
		return nil, fmt.Errorf("diff %q: want A..B, two moments: %w", r.URL.Query().Get("diff"), events.ErrInvalid)
	}
	var at [2]uint64
	for i, text := range []string{a, b} {
		if text == "" {
			text = "now"
		}
		m, err := past.ParseMoment(text, s.Now())
		if err != nil {
			return nil, err
		}
		if at[i], err = m.Position(r.Context(), s.Reader.Log); err != nil {
			return nil, err
		}
	}
	return life.Between(at[0], at[1])
}

func (s *server) diff(r *http.Request) (any, error) {
	from, err := s.position(r, "from", "")
	if err != nil {
		return nil, err
	}
	to, err := s.position(r, "to", "now")
	if err != nil {
		return nil, err
	}
	return s.Reader.Between(r.Context(), from, to, r.URL.Query().Get("namespace"))
}

func (s *server) why(r *http.Request, k events.Key) (any, error) {
	if field := r.URL.Query().Get("field"); field != "" {
		return s.Reader.WhyField(r.Context(), k, field, s.may(r.Context()))
	}
	return s.Reader.Why(r.Context(), k, s.may(r.Context()))
}

func (s *server) trace(r *http.Request, k events.Key) (any, error) {
	a, err := s.why(r, k)
	if err != nil {
		return nil, err
	}
	return past.Trace(a.(*past.Answer)), nil
}

// may reports which objects who asks may get.
func (s *server) may(ctx context.Context) func(events.Key) bool {
	who, ok := request.UserFrom(ctx)
	known := map[events.Key]bool{}
	return func(k events.Key) bool {
		if !ok {
			return false
		}
		allowed, asked := known[k]
		if !asked {
			decision, _, err := s.Authorizer.Authorize(ctx, authorizer.AttributesRecord{
				User: who, Verb: "get", APIGroup: k.Group, APIVersion: "*", Resource: k.Resource, Namespace: k.Namespace, Name: k.Name, ResourceRequest: true,
			})
			allowed = err == nil && decision == authorizer.DecisionAllow
			known[k] = allowed
		}
		return allowed
	}
}
