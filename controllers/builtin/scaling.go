package builtin

import (
	"net/http"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/devicetaint"
	"github.com/reckon-project/reckon/controllers/endpointslicemirroring"
	"github.com/reckon-project/reckon/controllers/loadbalancer"
	"github.com/reckon-project/reckon/controllers/nodeipam"
	"github.com/reckon-project/reckon/controllers/podautoscaler"
	"github.com/reckon-project/reckon/controllers/resourceclaim"
	"github.com/reckon-project/reckon/controllers/servicecidr"
)

// scaling are the controllers that size workloads and look after what they share.
func (s Settings) scaling() []*controllers.Controller {
	var api http.RoundTripper
	if s.Intake != nil {
		api = s.Intake(podautoscaler.Account)
	}
	out := []*controllers.Controller{
		podautoscaler.New(api, s.Clock),
		endpointslicemirroring.New(),
		resourceclaim.NewPods(),
		resourceclaim.NewClaims(),
		devicetaint.New(),
		nodeipam.New(s.PodRanges),
		servicecidr.New(),
	}
	if s.ServiceLB {
		out = append(out, loadbalancer.New(s.OwnPorts...))
	}
	return out
}
