package gateway_test

import (
	"context"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/reckon-project/reckon/gateway/gatewaytest"
)

func testCustom(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset) {
	definitions := must(apiextensionsclient.NewForConfig(c.Admin))(t).ApiextensionsV1().CustomResourceDefinitions()
	smallest := 1.0
	must(definitions.Create(t.Context(), &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "widgets.example.com"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Kind: "Widget"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object",
					Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": {
						Type:       "object",
						Properties: map[string]apiextensionsv1.JSONSchemaProps{"size": {Type: "integer", Minimum: &smallest}},
					}},
				}},
			}},
		},
	}, metav1.CreateOptions{}))(t)
	widgets := must(dynamic.NewForConfig(c.Admin))(t).Resource(schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}).Namespace("default")
	widget := func(name string, size int64) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": name}, "spec": map[string]any{"size": size},
		}}
	}
	eventually(t, "a widget can be made", func(ctx context.Context) (bool, error) {
		_, err := widgets.Create(ctx, widget("small", 1), metav1.CreateOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
	if _, err := widgets.Create(t.Context(), widget("none", 0), metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("a widget too small: %v", err)
	}

	policies := admin.AdmissionregistrationV1()
	must(policies.ValidatingAdmissionPolicies().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "no-forbidden"},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
				},
			}}},
			Validations: []admissionv1.Validation{{Expression: "!object.metadata.name.startsWith('forbidden')", Message: "that name is forbidden"}},
		},
	}, metav1.CreateOptions{}))(t)
	must(policies.ValidatingAdmissionPolicyBindings().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "no-forbidden"},
		Spec:       admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: "no-forbidden", ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}},
	}, metav1.CreateOptions{}))(t)
	eventually(t, "the policy refuses", func(ctx context.Context) (bool, error) {
		_, err := admin.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "forbidden-"}}, metav1.CreateOptions{})
		return err != nil && strings.Contains(err.Error(), "that name is forbidden"), nil
	})
	mistaken := must(policies.ValidatingAdmissionPolicies().Get(t.Context(), "no-forbidden", metav1.GetOptions{}))(t)
	mistaken.ObjectMeta = metav1.ObjectMeta{Name: "mistaken"}
	mistaken.Spec.Validations[0].Expression = "object.metadata.nam == 'x'"
	must(policies.ValidatingAdmissionPolicies().Create(t.Context(), mistaken, metav1.CreateOptions{}))(t)
	eventually(t, "types are checked", func(ctx context.Context) (bool, error) {
		for name, warnings := range map[string]int{"no-forbidden": 0, "mistaken": 1} {
			policy, err := policies.ValidatingAdmissionPolicies().Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			checked := policy.Status.TypeChecking
			if policy.Status.ObservedGeneration != policy.Generation || checked == nil || len(checked.ExpressionWarnings) != warnings {
				return false, nil
			}
		}
		return true, nil
	})
}
