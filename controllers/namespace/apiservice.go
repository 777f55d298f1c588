package namespace

import (
	corev1 "k8s.io/api/core/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// apiServices are the groups and versions that the API has; some are answered by
// other servers, of whose objects the log knows nothing.
var apiServices = controllers.Kind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService", Resource: "apiservices"}

// unanswered gives the groups and versions of other servers that don't answer, in
// order. What they keep in a namespace isn't known, so it can't go.
func unanswered(s *projections.Snapshot) []string {
	var all []string
	for o := range s.List(apiServices.Group, apiServices.Resource, "") {
		if gv, ok := unavailable(o); ok {
			all = append(all, gv)
		}
	}
	return all
}

func unavailable(o *events.Object) (groupVersion string, yes bool) {
	if !o.Exists() {
		return "", false
	}
	service, ok := o.Value.(*apiregistrationv1.APIService)
	if !ok || service.DeletionTimestamp != nil || service.Spec.Service == nil {
		return "", false
	}
	for _, c := range service.Status.Conditions {
		if c.Type == apiregistrationv1.Available && c.Status != apiregistrationv1.ConditionTrue {
			return service.Spec.Group + "/" + service.Spec.Version, true
		}
	}
	return "", false
}

// answers maps a server that answers again, or none any more, to the namespaces
// that wait.
func answers(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	_, was := unavailable(c.Old)
	_, is := unavailable(c.New)
	if was == is {
		return
	}
	for ns := range projections.List[*corev1.Namespace](s, "", "namespaces", "") {
		if ns.DeletionTimestamp != nil {
			add(controllers.Namespace.Key("", ns.Name))
		}
	}
}
