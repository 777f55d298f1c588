package podautoscaler

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// target is what an autoscaler scales, as its scale subresource shows it.
type target struct {
	object     *events.Object
	apiVersion string // that serves the subresource
	replicas   int32  // spec
	running    int32  // status
	selector   string // of its pods; "": it tells none
}

var scalable = []controllers.Kind{controllers.Deployment, controllers.ReplicaSet, controllers.StatefulSet, controllers.ReplicationController}

// findTarget finds what a reference names, in the snapshot.
func findTarget(s *projections.Snapshot, namespace string, ref autoscalingv2.CrossVersionObjectReference) (*target, error) {
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return nil, err
	}
	for _, k := range scalable {
		if k.Group == gv.Group && k.Kind == ref.Kind {
			return builtIn(s, k, namespace, ref.Name)
		}
	}
	for crd := range projections.List[*apiextensionsv1.CustomResourceDefinition](s, "apiextensions.k8s.io", "customresourcedefinitions", "") {
		if crd.Spec.Group == gv.Group && crd.Spec.Names.Kind == ref.Kind {
			return custom(s, crd, gv.Version, namespace, ref.Name)
		}
	}
	return nil, &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: gv.Group, Kind: ref.Kind}, SearchedVersions: []string{gv.Version}}
}

func builtIn(s *projections.Snapshot, k controllers.Kind, namespace, name string) (*target, error) {
	o := s.Get(k.Key(namespace, name))
	if !o.Exists() {
		return nil, apierrors.NewNotFound(schema.GroupResource{Group: k.Group, Resource: k.Resource + "/scale"}, name)
	}
	t := &target{object: o, apiVersion: k.APIVersion()}
	var selector *metav1.LabelSelector
	var replicas *int32
	switch v := o.Value.(type) {
	case *appsv1.Deployment:
		replicas, t.running, selector = v.Spec.Replicas, v.Status.Replicas, v.Spec.Selector
	case *appsv1.ReplicaSet:
		replicas, t.running, selector = v.Spec.Replicas, v.Status.Replicas, v.Spec.Selector
	case *appsv1.StatefulSet:
		replicas, t.running, selector = v.Spec.Replicas, v.Status.Replicas, v.Spec.Selector
	case *corev1.ReplicationController:
		replicas, t.running = v.Spec.Replicas, v.Status.Replicas
		t.selector = labels.Set(v.Spec.Selector).String()
	}
	if t.replicas = 1; replicas != nil {
		t.replicas = *replicas
	}
	if selector != nil {
		parsed, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil {
			return nil, err
		}
		t.selector = parsed.String()
	}
	return t, nil
}

// custom is a custom resource with a scale subresource.
func custom(s *projections.Snapshot, crd *apiextensionsv1.CustomResourceDefinition, version, namespace, name string) (*target, error) {
	resource := schema.GroupResource{Group: crd.Spec.Group, Resource: crd.Spec.Names.Plural}
	var scale *apiextensionsv1.CustomResourceSubresourceScale
	served := ""
	for i := range crd.Spec.Versions {
		v := &crd.Spec.Versions[i]
		if v.Served && v.Subresources != nil && v.Subresources.Scale != nil && (scale == nil || v.Name == version) {
			scale, served = v.Subresources.Scale, v.Name
		}
	}
	if scale == nil {
		return nil, apierrors.NewGenericServerResponse(404, "get", resource, name, "", 0, true)
	}
	o := s.Get(events.Key{Group: resource.Group, Resource: resource.Resource, Namespace: namespace, Name: name})
	if !o.Exists() {
		return nil, apierrors.NewNotFound(resource, name)
	}
	u, ok := o.Value.(*unstructured.Unstructured)
	if !ok {
		return nil, fmt.Errorf("%w: %s is a %T", events.ErrInvalid, o.Key, o.Value)
	}
	t := &target{object: o, apiVersion: resource.Group + "/" + served}
	replicas, _ := number(u.Object, scale.SpecReplicasPath)
	t.running, _ = number(u.Object, scale.StatusReplicasPath)
	t.replicas = replicas
	if p := scale.LabelSelectorPath; p != nil {
		t.selector, _, _ = unstructured.NestedString(u.Object, fields(*p)...)
	}
	return t, nil
}

// fields of a path like ".spec.replicas".
func fields(path string) []string { return strings.Split(strings.TrimPrefix(path, "."), ".") }

func number(object map[string]any, path string) (int32, bool) {
	v, found, err := unstructured.NestedFieldNoCopy(object, fields(path)...)
	if err != nil || !found {
		return 0, false
	}
	switch n := v.(type) {
	case int64:
		return int32(n), true
	case float64:
		return int32(n), true
	}
	return 0, false
}

// scaleTo is the write of a new size, if the target is still as it was seen.
func (t *target) scaleTo(replicas int32) controllers.Intent {
	m := t.object.Meta()
	return controllers.Intent{
		Verb: controllers.VerbUpdate, Key: t.object.Key, APIVersion: t.apiVersion, Subresource: "scale", UID: string(m.GetUID()),
		Object: &autoscalingv1.Scale{
			TypeMeta:   metav1.TypeMeta{APIVersion: "autoscaling/v1", Kind: "Scale"},
			ObjectMeta: metav1.ObjectMeta{Namespace: m.GetNamespace(), Name: m.GetName(), UID: m.GetUID(), ResourceVersion: m.GetResourceVersion()},
			Spec:       autoscalingv1.ScaleSpec{Replicas: replicas},
		},
	}
}
