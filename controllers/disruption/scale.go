package disruption

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/projections"
)

// scale is how many pods a controller wants to have.
type scale struct {
	uid      types.UID
	replicas int32
}

// findScale finds the scale of a pod's controller; nil: there is none any more.
// Replica sets of a deployment count as the deployment.
func findScale(s *projections.Snapshot, namespace string, ref *metav1.OwnerReference) (*scale, error) {
	o := s.ByUID(string(ref.UID))
	if !o.Exists() || o.Key.Namespace != namespace || o.Key.Name != ref.Name {
		o = nil
	}
	if o != nil {
		switch v := o.Value.(type) {
		case *appsv1.ReplicaSet:
			if owner := controllers.ControllerRef(v); owner != nil {
				if d, ok := projections.Get[*appsv1.Deployment](s, controllers.Deployment.Key(namespace, owner.Name)); ok && d.UID == owner.UID {
					return &scale{d.UID, count(d.Spec.Replicas)}, nil
				}
			}
			return &scale{v.UID, count(v.Spec.Replicas)}, nil
		case *appsv1.Deployment:
			return &scale{v.UID, count(v.Spec.Replicas)}, nil
		case *appsv1.StatefulSet:
			return &scale{v.UID, count(v.Spec.Replicas)}, nil
		case *corev1.ReplicationController:
			return &scale{v.UID, count(v.Spec.Replicas)}, nil
		}
	}
	if workloads[schema.GroupKind{Group: controllers.GroupOf(ref.APIVersion), Kind: ref.Kind}] {
		return nil, nil
	}
	var value runtime.Object
	if o != nil {
		value = o.Value
	}
	return findCustomScale(s, ref, value)
}

// workloads are the built-in kinds with a scale.
var workloads = map[schema.GroupKind]bool{
	{Group: "apps", Kind: "Deployment"}: true, {Group: "apps", Kind: "ReplicaSet"}: true,
	{Group: "apps", Kind: "StatefulSet"}: true, {Kind: "ReplicationController"}: true,
}

// findCustomScale reads the scale of a custom object where its definition says
// that it is.
func findCustomScale(s *projections.Snapshot, ref *metav1.OwnerReference, value runtime.Object) (*scale, error) {
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return nil, err
	}
	plural, _ := meta.UnsafeGuessKindToResource(gv.WithKind(ref.Kind))
	resource, path := plural.GroupResource(), ""
	for crd := range projections.List[*apiextensionsv1.CustomResourceDefinition](s, "apiextensions.k8s.io", "customresourcedefinitions", "") {
		if crd.Spec.Group != gv.Group || crd.Spec.Names.Kind != ref.Kind {
			continue
		}
		resource.Resource = crd.Spec.Names.Plural
		for _, v := range crd.Spec.Versions {
			if v.Name == gv.Version && v.Subresources != nil && v.Subresources.Scale != nil {
				path = v.Subresources.Scale.SpecReplicasPath
			}
		}
	}
	if path == "" {
		return nil, fmt.Errorf("%s does not implement the scale subresource", resource)
	}
	custom, ok := value.(*unstructured.Unstructured)
	if !ok {
		return nil, nil
	}
	n, _, err := unstructured.NestedInt64(custom.Object, strings.Split(strings.TrimPrefix(path, "."), ".")...)
	if err != nil {
		return nil, fmt.Errorf("scale of %s %s: %w", resource, ref.Name, err)
	}
	return &scale{ref.UID, int32(n)}, nil
}

// count is a number of replicas as the API defaults it.
func count(replicas *int32) int32 {
	if replicas == nil {
		return 1
	}
	return *replicas
}
