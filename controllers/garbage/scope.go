package garbage

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// logged reports a kind whose objects are in the log. Of others (aggregated APIs,
// Leases and Events, custom kinds whose definition is gone) nothing is known.
func logged(s *projections.Snapshot, r metav1.OwnerReference) bool {
	gk := kindOf(r)
	if gk.Kind == "Lease" || gk.Kind == "Event" {
		return false
	}
	return len(events.Scheme.VersionsForGroupKind(gk)) > 0 || definition(s, gk) != nil
}

func kindOf(r metav1.OwnerReference) schema.GroupKind {
	return schema.GroupKind{Group: controllers.GroupOf(r.APIVersion), Kind: r.Kind}
}

// definition of a custom kind, nil if there is none.
func definition(s *projections.Snapshot, gk schema.GroupKind) *apiextensionsv1.CustomResourceDefinition {
	for crd := range projections.List[*apiextensionsv1.CustomResourceDefinition](s, "apiextensions.k8s.io", "customresourcedefinitions", "") {
		if crd.Spec.Group == gk.Group && crd.Spec.Names.Kind == gk.Kind {
			return crd
		}
	}
	return nil
}

// namespaced reports a kind whose objects are in namespaces, as far as is known.
func namespaced(s *projections.Snapshot, r metav1.OwnerReference) bool {
	gk := kindOf(r)
	if len(events.Scheme.VersionsForGroupKind(gk)) > 0 {
		return !clusterScoped[gk.Group][gk.Kind]
	}
	crd := definition(s, gk)
	return crd != nil && crd.Spec.Scope == apiextensionsv1.NamespaceScoped
}

// clusterScoped are Kubernetes' own kinds that are in no namespace, by group.
var clusterScoped = map[string]map[string]bool{
	"":                             {"Namespace": true, "Node": true, "PersistentVolume": true, "ComponentStatus": true},
	"admissionregistration.k8s.io": {"MutatingWebhookConfiguration": true, "ValidatingWebhookConfiguration": true, "ValidatingAdmissionPolicy": true, "ValidatingAdmissionPolicyBinding": true, "MutatingAdmissionPolicy": true, "MutatingAdmissionPolicyBinding": true},
	"apiextensions.k8s.io":         {"CustomResourceDefinition": true},
	"apiregistration.k8s.io":       {"APIService": true},
	"certificates.k8s.io":          {"CertificateSigningRequest": true, "ClusterTrustBundle": true},
	"flowcontrol.apiserver.k8s.io": {"FlowSchema": true, "PriorityLevelConfiguration": true},
	"internal.apiserver.k8s.io":    {"StorageVersion": true},
	"networking.k8s.io":            {"IngressClass": true, "IPAddress": true, "ServiceCIDR": true},
	"node.k8s.io":                  {"RuntimeClass": true},
	"rbac.authorization.k8s.io":    {"ClusterRole": true, "ClusterRoleBinding": true},
	"resource.k8s.io":              {"DeviceClass": true, "ResourceSlice": true, "DeviceTaintRule": true, "ResourcePoolStatusRequest": true},
	"scheduling.k8s.io":            {"PriorityClass": true},
	"storage.k8s.io":               {"CSIDriver": true, "CSINode": true, "StorageClass": true, "VolumeAttachment": true, "VolumeAttributesClass": true},
	"storagemigration.k8s.io":      {"StorageVersionMigration": true},
}
