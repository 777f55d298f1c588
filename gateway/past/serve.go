package past

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/kubernetes/pkg/api/legacyscheme"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway/store"
)

// Options say what a Past reads.
type Options struct {
	Log bus.Log
	// Objects gives a resource's objects as they were at a position.
	Objects func(ctx context.Context, r schema.GroupResource, position uint64) ([]*events.Object, error)
	// Custom makes the handler of the custom resources of some definitions.
	Custom func(Definitions) (http.Handler, error)
	Now    func() time.Time // default time.Now
}

// Past serves the past.
type Past struct {
	Options
	sets sets
}

// New makes a Past.
func New(o Options) *Past {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Past{Options: o}
}

type whenKey struct{}

// asked is what Strip took off a request's path.
type asked struct {
	when   string
	itself bool // nothing follows the moment
}

// Strip takes the moment off the path before anything looks at the request, and
// refuses writes. What isn't about the past passes as it is.
func (p *Past) Strip(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		when, rest, ok := split(r.URL.Path)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		if !reads(r.Method, rest) {
			fail(w, r, status(http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, fmt.Sprintf(
				"the past can't be changed: %s%s serves reads only, a %s changes the present and goes to the server's address without it", Prefix, when, r.Method)))
			return
		}
		a := asked{when: when}
		if rest == "/" { // who may discover the API may learn what a moment is
			a.itself, rest = true, "/api"
		}
		in := r.Clone(context.WithValue(r.Context(), whenKey{}, a))
		in.URL.Path, in.URL.RawPath = rest, ""
		in.RequestURI = in.URL.RequestURI()
		next.ServeHTTP(w, in)
	})
}

// reads reports whether a request changes nothing. Reviews are made, not kept.
func reads(method, path string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	case http.MethodPost:
		return strings.HasPrefix(path, "/apis/authorization.k8s.io/") || strings.HasPrefix(path, "/apis/authentication.k8s.io/")
	}
	return false
}

// Serve answers requests whose path had a moment, and leaves all others to api,
// which is the server behind authentication and authorization.
func (p *Past) Serve(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := r.Context().Value(whenKey{}).(asked)
		if !ok {
			api.ServeHTTP(w, r)
			return
		}
		m, err := p.resolve(r.Context(), a.when)
		if err != nil {
			fail(w, r, err)
			return
		}
		w.Header().Set(HeaderSequence, strconv.FormatUint(m.Sequence, 10))
		w.Header().Set(HeaderTime, m.Time.UTC().Format(time.RFC3339Nano))
		audit.AddAuditAnnotation(r.Context(), "reckon.dev/at", a.when)
		if a.itself {
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(m); err != nil {
				fail(w, r, err)
			}
			return
		}
		p.serve(w, r.WithContext(store.WithTime(store.WithMoment(r.Context(), m.Sequence), m.Time)), m, api)
	})
}

// serve answers a request at a moment.
func (p *Past) serve(w http.ResponseWriter, r *http.Request, m Moment, api http.Handler) {
	if info, ok := request.RequestInfoFrom(r.Context()); ok && info.IsResourceRequest {
		if slices.Contains(connecting, info.Subresource) {
			fail(w, r, status(http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, fmt.Sprintf(
				"%s of a %s reaches what runs now: it has no past", info.Subresource, strings.TrimSuffix(info.Resource, "s"))))
			return
		}
		if info.Verb == "watch" {
			warning.AddWarning(r.Context(), "", fmt.Sprintf("the past doesn't change: after %s (sequence %d) this watch stays quiet", m.When, m.Sequence))
		}
	}
	group, about := aboutGroup(r.URL.Path)
	switch {
	case r.URL.Path == "/apis", r.URL.Path == "/apis/", about && !builtIn(group), strings.HasPrefix(r.URL.Path, "/openapi/"):
		set, err := p.definitionsAt(r.Context(), m.Sequence, api)
		if err != nil {
			fail(w, r, err)
			return
		}
		api = set
	}
	withAges(api, m.Time).ServeHTTP(w, r)
}

// connecting are the subresources that reach a node or a container.
var connecting = []string{"log", "exec", "attach", "portforward", "proxy"}

// aboutGroup gives the API group that a path under /apis/ is about.
func aboutGroup(path string) (group string, ok bool) {
	rest, ok := strings.CutPrefix(path, "/apis/")
	group, _, _ = strings.Cut(rest, "/")
	return group, ok && group != ""
}

// builtIn reports whether a group is served by this program itself: it was the
// same at any moment.
func builtIn(group string) bool {
	return legacyscheme.Scheme.IsGroupRegistered(group) || group == "apiextensions.k8s.io" || group == "apiregistration.k8s.io"
}

// fail answers with an API error.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	responsewriters.ErrorNegotiated(err, legacyscheme.Codecs, schema.GroupVersion{}, w, r)
}
