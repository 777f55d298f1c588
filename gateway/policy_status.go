package gateway

import (
	"fmt"

	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/cel/openapi/resolver"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/restmapper"
	"k8s.io/kubernetes/pkg/controller/validatingadmissionpolicystatus"
)

// checkPolicies runs upstream's controller that checks the types in the expressions
// of ValidatingAdmissionPolicies, and says in their status what it found. It needs
// the API's schemas, so it runs here and on every server: the same policy gives the same
// status, and what is the same isn't written twice.
func checkPolicies(api *genericapiserver.GenericAPIServer, client kubernetes.Interface, shared informers.SharedInformerFactory) error {
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
	checker := &validating.TypeChecker{
		SchemaResolver: &resolver.ClientDiscoveryResolver{Discovery: client.Discovery()},
		RestMapper:     mapper,
	}
	policies, err := validatingadmissionpolicystatus.NewController(
		shared.Admissionregistration().V1().ValidatingAdmissionPolicies(),
		client.AdmissionregistrationV1().ValidatingAdmissionPolicies(), checker)
	if err != nil {
		return fmt.Errorf("make the controller of admission policies' status: %w", err)
	}
	api.AddPostStartHookOrDie("check-admission-policies", func(hook genericapiserver.PostStartHookContext) error {
		go policies.Run(hook, 1)
		return nil
	})
	return nil
}
