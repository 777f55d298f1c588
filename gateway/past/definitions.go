package past

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsapiserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/reckon-project/reckon/events"
)

// Definitions are the custom resources that were defined at some time.
type Definitions []*apiextensionsv1.CustomResourceDefinition

// mostSets is how many sets of definitions are kept ready. They change seldom:
// most moments share one.
const mostSets = 8

// sets keeps what was made of the definitions used last.
type sets struct {
	mu   sync.Mutex
	kept []*set // last used first
}

// set serves what isn't built in as it was defined at some time.
type set struct {
	key     string
	api     http.Handler // for what is built in
	defined Definitions
	foreign map[schema.GroupVersion]string // served by other API servers: which service
	custom  http.Handler

	discovery discovery
	openAPI   openAPI
}

// definitionsAt gives what serves the definitions of a position.
func (p *Past) definitionsAt(ctx context.Context, position uint64, api http.Handler) (*set, error) {
	definitions, err := p.Objects(ctx, schema.GroupResource{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}, position)
	if err != nil {
		return nil, fmt.Errorf("custom resource definitions at %d: %w", position, err)
	}
	services, err := p.Objects(ctx, schema.GroupResource{Group: "apiregistration.k8s.io", Resource: "apiservices"}, position)
	if err != nil {
		return nil, fmt.Errorf("API services at %d: %w", position, err)
	}
	var key strings.Builder
	for _, o := range append(definitions[:len(definitions):len(definitions)], services...) {
		fmt.Fprintf(&key, "%s@%d ", o.Key.Name, o.Version)
	}
	p.sets.mu.Lock()
	defer p.sets.mu.Unlock()
	for i, s := range p.sets.kept {
		if s.key == key.String() {
			copy(p.sets.kept[1:], p.sets.kept[:i])
			p.sets.kept[0] = s
			return s, nil
		}
	}
	s := &set{key: key.String(), api: api}
	if s.defined, err = definitionsOf(definitions); err != nil {
		return nil, err
	}
	if s.foreign, err = foreignOf(services); err != nil {
		return nil, err
	}
	if s.custom, err = p.Custom(s.defined); err != nil {
		return nil, fmt.Errorf("serve the custom resources of %d: %w", position, err)
	}
	p.sets.kept = append([]*set{s}, p.sets.kept[:min(len(p.sets.kept), mostSets-1)]...)
	return s, nil
}

func definitionsOf(objects []*events.Object) (Definitions, error) {
	var out Definitions
	for _, o := range objects {
		data, err := json.Marshal(o.Value)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", o.Key, err)
		}
		internal, err := runtime.Decode(apiextensionsapiserver.Codecs.UniversalDecoder(), data) // the log has it in another version
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", o.Key, err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := apiextensionsapiserver.Scheme.Convert(internal, crd, nil); err != nil {
			return nil, fmt.Errorf("read %s: %w", o.Key, err)
		}
		out = append(out, crd)
	}
	return out, nil
}

// foreignOf finds the group versions that other API servers served.
func foreignOf(objects []*events.Object) (map[schema.GroupVersion]string, error) {
	out := map[schema.GroupVersion]string{}
	for _, o := range objects {
		data, err := json.Marshal(o.Value)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", o.Key, err)
		}
		var s apiregistrationv1.APIService
		if err := json.Unmarshal(data, &s); err != nil {
			return nil, fmt.Errorf("read %s: %w", o.Key, err)
		}
		if s.Spec.Service != nil {
			out[schema.GroupVersion{Group: s.Spec.Group, Version: s.Spec.Version}] = s.Spec.Service.Namespace + "/" + s.Spec.Service.Name
		}
	}
	return out, nil
}

// ServeHTTP answers requests for groups that aren't built in, for the lists of
// groups, and for OpenAPI.
func (s *set) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimSuffix(r.URL.Path, "/")
	switch {
	case path == "/apis":
		s.serveGroups(w, r)
	case strings.HasPrefix(path, "/openapi/"):
		s.serveOpenAPI(w, r, path)
	default:
		parts := strings.Split(strings.TrimPrefix(path, "/apis/"), "/")
		if len(parts) > 1 {
			gv := schema.GroupVersion{Group: parts[0], Version: parts[1]}
			if service, ok := s.foreign[gv]; ok {
				fail(w, r, status(http.StatusNotImplemented, "NotImplemented", fmt.Sprintf(
					"%s was served by another API server, behind the service %s: its past isn't in this log", gv, service)))
				return
			}
		}
		switch len(parts) {
		case 1:
			s.serveGroup(w, r, parts[0])
		case 2:
			s.serveVersion(w, r, schema.GroupVersion{Group: parts[0], Version: parts[1]})
		default:
			s.custom.ServeHTTP(w, r)
		}
	}
}
