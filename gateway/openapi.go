package gateway

import (
	"net/http"
	"sync"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/mux"
	"k8s.io/apiserver/pkg/server/routes"
	"k8s.io/kube-openapi/pkg/common"
)

// describeOnRequest has api serve its OpenAPI documents as upstream does, but
// makes them when they are first asked for: making them is an eighth of a start.
// Whoever calls it sets Config.SkipOpenAPIInstallation.
func describeOnRequest(api *genericapiserver.GenericAPIServer, v2 *common.Config, v3 *common.OpenAPIV3Config) {
	container := api.Handler.GoRestfulContainer
	second := madeOnRequest(func(m *mux.PathRecorderMux) { routes.OpenAPI{Config: v2}.InstallV2(container, m) })
	third := madeOnRequest(func(m *mux.PathRecorderMux) { routes.OpenAPI{V3Config: v3}.InstallV3(container, m) })
	api.Handler.NonGoRestfulMux.Handle("/openapi/v2", second)
	api.Handler.NonGoRestfulMux.Handle("/openapi/v3", third)
	api.Handler.NonGoRestfulMux.HandlePrefix("/openapi/v3/", third)
}

// madeOnRequest is a handler whose routes are installed before its first request.
func madeOnRequest(install func(*mux.PathRecorderMux)) http.Handler {
	made := sync.OnceValue(func() http.Handler {
		m := mux.NewPathRecorderMux("openapi")
		install(m)
		return m
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { made().ServeHTTP(w, r) })
}
