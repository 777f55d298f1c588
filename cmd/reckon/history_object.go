package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/reckon-project/reckon/events"
	questions "github.com/reckon-project/reckon/gateway/history"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// subject is an object that is asked about.
type subject struct {
	key events.Key
	// unsure: nothing knows its kind, so it may be a cluster-scoped one.
	unsure bool
}

// subject reads an object as kubectl takes it: "deploy/web", "deploy web",
// "pod/prod/web-1", or a custom resource by any of its names.
func (h *historian) subject(args []string) (subject, error) {
	text := strings.Join(args, "/")
	if len(args) == 2 && strings.Contains(args[1], "/") {
		return subject{}, fmt.Errorf("object %q: want KIND/NAME or KIND NAME, for example deploy/web", strings.Join(args, " "))
	}
	ns, err := h.namespace()
	if err != nil {
		return subject{}, err
	}
	parts := strings.Split(text, "/")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[len(parts)-1] == "" {
		return subject{}, fmt.Errorf("object %q: want KIND/NAME or KIND NAME, for example deploy/web", text)
	}
	kind, _, qualified := strings.Cut(parts[0], ".")
	if k, err := parseObject(text, ns); err == nil && (!qualified || builtIn(k)) {
		return subject{key: k}, nil
	}
	k := events.Key{Namespace: ns, Name: parts[len(parts)-1]}
	if len(parts) == 3 {
		k.Namespace = parts[1]
	}
	gvr, namespaced, err := h.resource(parts[0])
	switch {
	case err == nil:
		k.Group, k.Resource = gvr.Group, gvr.Resource
		if !namespaced {
			k.Namespace = ""
		}
		return subject{key: k}, nil
	case qualified: // of a kind that isn't defined any more
		_, group, _ := strings.Cut(strings.ToLower(parts[0]), ".")
		k.Group, k.Resource = group, strings.ToLower(kind)
		return subject{key: k, unsure: true}, nil
	}
	if meta.IsNoMatchError(err) {
		return subject{}, fmt.Errorf("unknown kind %q: the server has no resource of that name; give one that is gone as <plural>.<group>", parts[0])
	}
	return subject{}, fmt.Errorf("unknown kind %q: %w", parts[0], err)
}

// builtIn reports whether a key's resource is one of Kubernetes' own.
func builtIn(k events.Key) bool { return events.Scheme.IsGroupRegistered(k.Group) }

// resource asks the server which resource is meant, and whether it has
// namespaces. What is remembered of its answers may be older than the resource.
func (h *historian) resource(name string) (schema.GroupVersionResource, bool, error) {
	gvr, namespaced, err := h.mapped(name)
	if !meta.IsNoMatchError(err) {
		return gvr, namespaced, err
	}
	remembered, derr := h.flags.ToDiscoveryClient()
	if derr != nil {
		return gvr, namespaced, derr
	}
	remembered.Invalidate()
	return h.mapped(name)
}

func (h *historian) mapped(name string) (schema.GroupVersionResource, bool, error) {
	mapper, err := h.flags.ToRESTMapper()
	if err != nil {
		return schema.GroupVersionResource{}, false, err
	}
	gr := schema.ParseGroupResource(strings.ToLower(name))
	gvr, err := mapper.ResourceFor(gr.WithVersion(""))
	if err != nil {
		return schema.GroupVersionResource{}, false, err
	}
	kind, err := mapper.KindFor(gvr)
	if err != nil {
		return schema.GroupVersionResource{}, false, err
	}
	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return schema.GroupVersionResource{}, false, err
	}
	return gvr, mapping.Scope.Name() == meta.RESTScopeNameNamespace, nil
}

// about asks a question about an object.
func (h *historian) about(ctx context.Context, question string, s subject, query url.Values, out any) ([]byte, error) {
	body, err := h.ask(ctx, http.MethodGet, questions.Path(question, s.key), query, out)
	if s.unsure && isNotFound(err) {
		k := s.key
		k.Namespace = ""
		if body, err := h.ask(ctx, http.MethodGet, questions.Path(question, k), query, out); err == nil {
			return body, nil
		}
	}
	return body, err
}

// fieldOf splits "web.spec.replicas" into the name of an object and a field of
// it: names may hold dots, so a field begins at one of an object's own parts.
var fieldOf = regexp.MustCompile(`^(.+?)\.((?:metadata|spec|status|data|stringData|binaryData|type|immutable|rules|subsets|roleRef|subjects|webhooks|endpoints|ports|provisioner|parameters|value|handler|automountServiceAccountToken|imagePullSecrets|secrets)(?:[.\[].*)?)$`)

// question reads "OBJECT", "OBJECT.field", "KIND NAME" or "KIND NAME .field".
func (h *historian) question(args []string, field string) (subject, url.Values, error) {
	query := url.Values{}
	if last := args[len(args)-1]; len(args) > 1 && strings.HasPrefix(last, ".") {
		field, args = last, args[:len(args)-1]
	}
	if field == "" {
		if m := fieldOf.FindStringSubmatch(args[len(args)-1]); m != nil {
			args = append(args[:len(args)-1:len(args)-1], m[1])
			field = m[2]
		}
	}
	if field = strings.TrimPrefix(field, "."); field != "" {
		query.Set("field", field)
	}
	s, err := h.subject(args)
	return s, query, err
}
