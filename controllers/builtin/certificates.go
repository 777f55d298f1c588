package builtin

import (
	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/certificates"
)

// certificates are the controllers that need to be told the cluster's
// authorities; without them, as in a simulation, they aren't there.
func (s Settings) certificates() []*controllers.Controller {
	all := []*controllers.Controller{certificates.NewCleaner(), certificates.NewPodRequestCleaner()}
	if s.Authority.Key != nil {
		all = append(all, certificates.NewSigner(s.Authority))
	}
	if s.Review != nil {
		all = append(all, certificates.NewApprover(s.Review))
	}
	if len(s.RootCA) > 0 {
		all = append(all, certificates.NewBundle(s.RootCA))
	}
	return all
}
