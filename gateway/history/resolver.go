package history

import (
	"net/http"
	"strings"

	"k8s.io/apiserver/pkg/endpoints/request"

	"github.com/reckon-project/reckon/events"
)

// Prefix is where all of it is served.
const Prefix = "/history/v1/"

// Resolver makes requests about an object's past requests of that object, so
// that they are authorised, audited and queued as such. Others go to Next.
type Resolver struct{ Next request.RequestInfoResolver }

// NewRequestInfo implements request.RequestInfoResolver.
func (r Resolver) NewRequestInfo(req *http.Request) (*request.RequestInfo, error) {
	rest, ok := strings.CutPrefix(req.URL.Path, Prefix)
	if !ok {
		return r.Next.NewRequestInfo(req)
	}
	if rest == "diff" {
		if ns := req.URL.Query().Get("namespace"); ns != "" {
			return &request.RequestInfo{
				IsResourceRequest: true, Path: req.URL.Path, Verb: "list", APIPrefix: "apis",
				APIGroup: "*", APIVersion: "*", Resource: "*", Namespace: ns,
			}, nil
		}
		return r.Next.NewRequestInfo(req)
	}
	what, rest, _ := strings.Cut(rest, "/")
	k, ok := parseKey(strings.Split(rest, "/"))
	if !ok || !questions[what] {
		return r.Next.NewRequestInfo(req)
	}
	verb := "get"
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		verb = "update"
	}
	return &request.RequestInfo{
		IsResourceRequest: true, Path: req.URL.Path, Verb: verb, APIPrefix: "apis",
		APIGroup: k.Group, APIVersion: "*", Resource: k.Resource, Namespace: k.Namespace, Name: k.Name,
	}, nil
}

// questions are those about one object.
var questions = map[string]bool{"objects": true, "why": true, "trace": true, "undo": true}

// parseKey reads {group}/{resource}/{namespace}/{name}.
func parseKey(parts []string) (events.Key, bool) {
	if len(parts) != 4 || parts[0] == "" || parts[1] == "" || parts[2] == "" || parts[3] == "" {
		return events.Key{}, false
	}
	k := events.Key{Group: parts[0], Resource: parts[1], Namespace: parts[2], Name: parts[3]}
	if k.Group == "core" {
		k.Group = ""
	}
	if k.Namespace == "_" {
		k.Namespace = ""
	}
	return k, true
}

// Path is where a question about an object is asked.
func Path(question string, k events.Key) string {
	group, namespace := k.Group, k.Namespace
	if group == "" {
		group = "core"
	}
	if namespace == "" {
		namespace = "_"
	}
	return Prefix + question + "/" + group + "/" + k.Resource + "/" + namespace + "/" + k.Name
}
