package builtin

import (
	"net/http"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/endpointslicemirroring"
	"github.com/reckon-project/reckon/controllers/podautoscaler"
)

// scaling are the controllers that size workloads and look after what they share.
func (s Settings) scaling() []*controllers.Controller {
	var api http.RoundTripper
	if s.Intake != nil {
		api = s.Intake(podautoscaler.Account)
	}
	return []*controllers.Controller{
		podautoscaler.New(api, s.Clock),
		endpointslicemirroring.New(),
	}
}
