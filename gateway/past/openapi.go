package past

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/handler"
	"k8s.io/kube-openapi/pkg/handler3"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// openAPI is the description of the API, made when it is first asked for.
type openAPI struct {
	mu sync.Mutex
	v2 http.Handler
	v3 *handler3.OpenAPIService // of what isn't built in
}

// serveOpenAPI answers /openapi/v2, /openapi/v3 and what is below.
func (s *set) serveOpenAPI(w http.ResponseWriter, r *http.Request, path string) {
	s.openAPI.mu.Lock()
	defer s.openAPI.mu.Unlock() // making one takes a while: the next who asks waits for it
	group, custom := aboutGroup(strings.TrimPrefix(path, "/openapi/v3"))
	var err error
	switch {
	case path == "/openapi/v2":
		err = s.serveV2(w, r)
	case path == "/openapi/v3":
		err = s.serveV3Index(w, r)
	case custom && !builtIn(group):
		if err = s.makeV3(); err == nil {
			s.openAPI.v3.HandleGroupVersion(w, r)
		}
	default:
		s.api.ServeHTTP(w, r)
	}
	if err != nil {
		fail(w, r, fmt.Errorf("OpenAPI: %w", err))
	}
}

func (s *set) serveV2(w http.ResponseWriter, r *http.Request) error {
	if s.openAPI.v2 == nil {
		data, err := get(s.api, r, "/openapi/v2", "application/json")
		if err != nil {
			return err
		}
		var present spec.Swagger
		if err := json.Unmarshal(data, &present); err != nil {
			return fmt.Errorf("that of the present: %w", err)
		}
		then, err := s.swagger(&present)
		if err != nil {
			return err
		}
		mux := http.NewServeMux()
		handler.NewOpenAPIService(then).RegisterOpenAPIVersionedService("/openapi/v2", mux)
		s.openAPI.v2 = mux
	}
	s.openAPI.v2.ServeHTTP(w, r)
	return nil
}

// swagger makes of the present's description that of then.
func (s *set) swagger(present *spec.Swagger) (*spec.Swagger, error) {
	if present.Paths != nil {
		maps.DeleteFunc(present.Paths.Paths, func(path string, _ spec.PathItem) bool {
			group, ok := aboutGroup(path)
			return ok && !builtIn(group)
		})
	}
	maps.DeleteFunc(present.Definitions, func(_ string, d spec.Schema) bool { return custom(d.Extensions) })
	var specs []*spec.Swagger
	for _, crd := range s.served() {
		for _, v := range crd.Spec.Versions {
			if !v.Served {
				continue
			}
			each, err := builder.BuildOpenAPIV2(crd, v.Name, builder.Options{V2: true, StripValueValidation: true, StripNullable: true, AllowNonStructural: true})
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", crd.Name, v.Name, err)
			}
			specs = append(specs, each)
		}
	}
	return builder.MergeSpecs(present, specs...)
}

// custom reports whether a definition is of a kind that isn't built in.
func custom(e spec.Extensions) bool {
	kinds, _ := e["x-kubernetes-group-version-kind"].([]any)
	for _, k := range kinds {
		m, _ := k.(map[string]any)
		if group, _ := m["group"].(string); group == "" || builtIn(group) {
			return false
		}
	}
	return len(kinds) > 0
}

// serveV3Index answers /openapi/v3: the present's list of what is built in, and
// what was defined.
func (s *set) serveV3Index(w http.ResponseWriter, r *http.Request) error {
	if err := s.makeV3(); err != nil {
		return err
	}
	data, err := get(s.api, r, "/openapi/v3", "application/json")
	if err != nil {
		return err
	}
	var index handler3.OpenAPIV3Discovery
	if err := json.Unmarshal(data, &index); err != nil {
		return fmt.Errorf("the list of the present: %w", err)
	}
	maps.DeleteFunc(index.Paths, func(path string, _ handler3.OpenAPIV3DiscoveryGroupVersion) bool {
		group, ok := aboutGroup("/" + path)
		return ok && !builtIn(group)
	})
	own := newRecorder()
	s.openAPI.v3.HandleDiscovery(own, r)
	var defined handler3.OpenAPIV3Discovery
	if err := json.Unmarshal(own.body.Bytes(), &defined); err != nil {
		return fmt.Errorf("the list of what was defined: %w", err)
	}
	maps.Copy(index.Paths, defined.Paths)
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(index)
}

func (s *set) makeV3() error {
	if s.openAPI.v3 != nil {
		return nil
	}
	specs := map[schema.GroupVersion][]*spec3.OpenAPI{}
	for _, crd := range s.served() {
		for _, v := range crd.Spec.Versions {
			if !v.Served {
				continue
			}
			each, err := builder.BuildOpenAPIV3(crd, v.Name, builder.Options{V2: false})
			if err != nil {
				return fmt.Errorf("%s %s: %w", crd.Name, v.Name, err)
			}
			gv := schema.GroupVersion{Group: crd.Spec.Group, Version: v.Name}
			specs[gv] = append(specs[gv], each)
		}
	}
	service := handler3.NewOpenAPIService()
	for gv, each := range specs {
		merged, err := builder.MergeSpecsV3(each...)
		if err != nil {
			return fmt.Errorf("%s: %w", gv, err)
		}
		service.UpdateGroupVersion("apis/"+gv.String(), merged)
	}
	s.openAPI.v3 = service
	return nil
}
