package controllers

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

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/events"
)

// Headers with which a write through the API tells the log why; the gateway
// takes them from trusted callers only.
const (
	HeaderCause     = "Reckon-Cause"     // sequences, separated by commas
	HeaderReason    = "Reckon-Reason"    // CamelCase
	HeaderNote      = "Reckon-Note"      // a sentence
	HeaderEpoch     = "Reckon-Epoch"     // of the leadership that the caller acts under
	HeaderComponent = "Reckon-Component" // the leadership's name
	// HeaderSequence is of an answer: the position at which the write is folded.
	// Without it metadata.resourceVersion of the answer is taken.
	HeaderSequence = "Reckon-Sequence"
	traceparent    = "Traceparent"
)

// Intake gives the way to the Kubernetes API for a controller: requests sent through
// the transport act as the service account of that name in kube-system.
type Intake func(controller string) http.RoundTripper

// Creator is what an Intake's transport can be besides: a way in that spares a
// create its encoding. It does what the request would do and gives the version; taken
// false: it did nothing, and the request must be sent. An error has an API status.
type Creator interface {
	CreateObject(ctx context.Context, obj runtime.Object, manager string, header http.Header) (version uint64, taken bool, err error)
}

// answer is what the API said to a write.
type answer struct {
	sequence uint64 // 0: not told
}

// accept asks for an answer that is no longer than it needs to be: its version is
// all that is read of it.
const accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"

// envelope goes with each write.
type envelope struct {
	manager     string // field manager: the controller's name
	cause       []uint64
	traceparent string
	epoch       uint64
	component   string
}

// APIError is the API's refusal of a write; errors.Is tells its class.
type APIError struct {
	Intent string
	Verb   Verb // of the intent
	Status metav1.Status
}

func (e *APIError) Error() string { return e.Intent + ": " + e.Status.Message }

// Is maps the status to the error classes of package events.
func (e *APIError) Is(target error) bool {
	switch e.Status.Code {
	case http.StatusNotFound:
		return target == events.ErrNotFound
	case http.StatusConflict:
		if e.Status.Reason == metav1.StatusReasonAlreadyExists {
			return target == events.ErrExists
		}
		return target == events.ErrConflict
	case http.StatusGone:
		return target == events.ErrGone
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return target == events.ErrUnavailable
	}
	return target == events.ErrInvalid
}

// Refusal is why pods could not be created or deleted as Kubernetes tells it: the
// reason, what was being done, and the API's own words if it was the API that refused. It is empty for nil.
func Refusal(err error) (reason, doing, message string) {
	var refused *APIError
	switch {
	case err == nil:
		return "", "", ""
	case !errors.As(err, &refused):
		return "FailedCreate", "creating", err.Error()
	case refused.Verb == VerbDelete:
		return "FailedDelete", "deleting", refused.Status.Message
	}
	return "FailedCreate", "creating", refused.Status.Message
}

// HasCause reports whether the API named a cause of that type.
func (e *APIError) HasCause(t metav1.CauseType) bool {
	if e.Status.Details == nil {
		return false
	}
	for _, c := range e.Status.Details.Causes {
		if c.Type == t {
			return true
		}
	}
	return false
}

// send carries out one intent through the API.
func send(ctx context.Context, rt http.RoundTripper, i Intent, env envelope) (answer, error) {
	what := string(i.Verb) + " " + i.Key.String()
	if creator, ok := rt.(Creator); ok && i.Verb == VerbCreate && i.Subresource == "" {
		h := http.Header{}
		env.set(h, i)
		if version, taken, err := creator.CreateObject(ctx, i.Object, env.manager, h); taken {
			return answer{version}, asAPIError(what, err)
		}
	}
	req, err := request(ctx, i, env.manager)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", what, err)
	}
	env.set(req.Header, i)
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w: %w", what, events.ErrUnavailable, err)
	}
	defer resp.Body.Close() //nolint:errcheck // all of it was read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, fmt.Errorf("%s: read the answer: %w: %w", what, events.ErrUnavailable, err)
	}
	if resp.StatusCode >= 300 {
		e := &APIError{Intent: what, Verb: i.Verb}
		if json.Unmarshal(body, &e.Status) != nil || e.Status.Message == "" {
			e.Status.Message = strings.TrimSpace(string(body))
		}
		e.Status.Code = int32(resp.StatusCode)
		return answer{}, e
	}
	return readAnswer(resp.Header, body, i), nil
}

// asAPIError is an error of a Creator as the answer to a request would tell it.
func asAPIError(what string, err error) error {
	if err == nil {
		return nil
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return &APIError{Intent: what, Verb: VerbCreate, Status: status.Status()}
	}
	return fmt.Errorf("%s: %w: %w", what, events.ErrUnavailable, err)
}

func readAnswer(h http.Header, body []byte, i Intent) answer {
	if n, err := strconv.ParseUint(h.Get(HeaderSequence), 10, 64); err == nil {
		return answer{n}
	}
	var o struct {
		Kind     string `json:"kind"`
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(body, &o); err != nil || o.Kind == "Status" {
		return answer{}
	}
	n, err := strconv.ParseUint(o.Metadata.ResourceVersion, 10, 64)
	if err != nil {
		return answer{}
	}
	return answer{n}
}

func (env envelope) set(h http.Header, i Intent) {
	cause := i.Cause
	if cause == nil {
		cause = env.cause
	}
	if len(cause) > 0 {
		parts := make([]string, len(cause))
		for n, c := range cause {
			parts[n] = strconv.FormatUint(c, 10)
		}
		h.Set(HeaderCause, strings.Join(parts, ","))
	}
	if i.Reason != "" {
		h.Set(HeaderReason, i.Reason)
		h.Set(HeaderNote, strings.Map(oneLine, i.Note))
	}
	if env.epoch != 0 {
		h.Set(HeaderEpoch, strconv.FormatUint(env.epoch, 10))
		h.Set(HeaderComponent, env.component)
	}
	if env.traceparent != "" {
		h.Set(traceparent, env.traceparent)
	}
}

func oneLine(r rune) rune {
	if r < ' ' {
		return ' '
	}
	return r
}

// request is the intent as an HTTP request of the Kubernetes API.
func request(ctx context.Context, i Intent, manager string) (*http.Request, error) {
	var method, contentType string
	var body []byte
	var err error
	switch i.Verb {
	case VerbCreate:
		method, contentType = http.MethodPost, "application/json"
		body, err = events.EncodeObject(i.Object)
	case VerbUpdate:
		method, contentType = http.MethodPut, "application/json"
		if gvk := i.Object.GetObjectKind().GroupVersionKind(); gvk.Kind == "" {
			return nil, fmt.Errorf("%w: update of an object without a kind", events.ErrInvalid)
		}
		body, err = json.Marshal(i.Object)
	case VerbPatch:
		method, contentType, body = http.MethodPatch, i.ContentType, withUID(i.Data, i.UID)
	case VerbDelete:
		method, contentType = http.MethodDelete, "application/json"
		i.Options.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"}
		body, err = json.Marshal(i.Options)
	default:
		return nil, fmt.Errorf("%w: verb %q is not one of the API", events.ErrInvalid, i.Verb)
	}
	if err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "http", Host: "reckon", Path: Path(i)}
	if i.Verb != VerbDelete {
		u.RawQuery = "fieldManager=" + url.QueryEscape(manager)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", accept)
	return req, nil
}

// withUID adds the uid to a merge patch: the API refuses it for another object.
func withUID(patch []byte, uid string) []byte {
	if uid == "" {
		return patch
	}
	var p map[string]json.RawMessage
	if json.Unmarshal(patch, &p) != nil {
		return patch
	}
	meta := map[string]json.RawMessage{}
	if m, ok := p["metadata"]; ok && json.Unmarshal(m, &meta) != nil {
		return patch
	}
	meta["uid"], _ = json.Marshal(uid)
	p["metadata"], _ = json.Marshal(meta)
	out, err := json.Marshal(p)
	if err != nil {
		return patch
	}
	return out
}

// Path is the API path that an intent goes to.
func Path(i Intent) string {
	root := "/apis/"
	if !strings.Contains(i.APIVersion, "/") {
		root = "/api/"
	}
	p := root + i.APIVersion
	if i.Key.Namespace != "" {
		p += "/namespaces/" + i.Key.Namespace
	}
	p += "/" + i.Key.Resource
	if i.Verb != VerbCreate {
		p += "/" + i.Key.Name
	}
	if i.Subresource != "" {
		if i.Verb == VerbCreate {
			p += "/" + i.Key.Name
		}
		p += "/" + i.Subresource
	}
	return p
}
