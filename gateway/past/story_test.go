package past_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregatorclient "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway"
	"github.com/reckon-project/reckon/gateway/gatewaytest"
	"github.com/reckon-project/reckon/gateway/past"
	"github.com/reckon-project/reckon/gateway/store"
	"github.com/reckon-project/reckon/projections/sealed"
)

// story is a cluster in which some things happened before and some after `then`.
type story struct {
	*gatewaytest.Cluster
	admin *kubernetes.Clientset
	then  uint64
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func eventually(t *testing.T, what string, f func(context.Context) (bool, error)) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 30*time.Second, true, f); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// at is the administrator's configuration for a moment.
func (s *story) at(when any) *rest.Config {
	c := rest.CopyConfig(s.Admin)
	c.Host += fmt.Sprintf("%s%v", past.Prefix, when)
	return c
}

func (s *story) clientAt(t *testing.T, when any) *kubernetes.Clientset {
	return must(kubernetes.NewForConfig(s.at(when)))(t)
}

func (s *story) widgets(t *testing.T, c *rest.Config) dynamic.ResourceInterface {
	return must(dynamic.NewForConfig(c))(t).Resource(schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}).Namespace("default")
}

// raw is the body of a GET at then.
func (s *story) raw(t *testing.T, path, accept string) string {
	t.Helper()
	return string(must(s.clientAt(t, s.then).RESTClient().Get().RequestURI(path).SetHeader("Accept", accept).DoRaw(t.Context()))(t))
}

const table = "application/json;as=Table;v=v1;g=meta.k8s.io"

func makePod(name, app string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": app}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "example/app"}}},
	}
}

func widgetsDefinition() *apiextensionsv1.CustomResourceDefinition {
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "widgets.example.com"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Singular: "widget", Kind: "Widget", ShortNames: []string{"wd"}},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				AdditionalPrinterColumns: []apiextensionsv1.CustomResourceColumnDefinition{{Name: "Size", Type: "integer", JSONPath: ".spec.size"}},
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object",
					Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": {
						Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"size": {Type: "integer"}},
					}},
				}},
			}},
		},
	}
}

// newStory starts the cluster and makes its past.
func newStory(t *testing.T) *story {
	keys := must(sealed.NewKeyring(make([]byte, 32), must(sealed.NewFileStore(t.TempDir()))(t)))(t)
	s := &story{Cluster: gatewaytest.Start(t, func(o *gateway.Options) { o.Sealer = store.SealSecrets(keys) })}
	s.admin = must(kubernetes.NewForConfig(s.Admin))(t)
	core := s.admin.CoreV1()
	must(core.ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}))(t)
	settings := must(core.ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}, Data: map[string]string{"color": "red"}}, metav1.CreateOptions{}))(t)
	for i := range 3 {
		must(core.Pods("default").Create(t.Context(), makePod(fmt.Sprintf("old-%d", i), "old"), metav1.CreateOptions{}))(t)
	}
	gatewaytest.Append(t, s.Cluster, &events.Event{
		Prefix: events.PrefixDecision, Key: events.Key{Resource: "pods", Namespace: "default", Name: "old-0"}, Source: "scheduler", Type: events.Unschedulable,
		Reason: "FailedScheduling", Note: "0/0 nodes are available", ContentType: events.ContentPatch, Data: []byte(`{"status":{"message":"pending"}}`),
	})
	must(core.Secrets("default").Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "gone"}, StringData: map[string]string{"password": "hunter2"}}, metav1.CreateOptions{}))(t)
	must(core.Secrets("default").Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "kept"}, StringData: map[string]string{"password": "first"}}, metav1.CreateOptions{}))(t)
	definitions := must(apiextensionsclient.NewForConfig(s.Admin))(t).ApiextensionsV1().CustomResourceDefinitions()
	must(definitions.Create(t.Context(), widgetsDefinition(), metav1.CreateOptions{}))(t)
	widgets := s.widgets(t, s.Admin)
	eventually(t, "a widget can be made", func(ctx context.Context) (bool, error) {
		_, err := widgets.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": "small"}, "spec": map[string]any{"size": int64(7)},
		}}, metav1.CreateOptions{})
		return err == nil, nil
	})
	must(must(aggregatorclient.NewForConfig(s.Admin))(t).ApiregistrationV1().APIServices().Create(t.Context(), &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: "v1.reports.example.org"},
		Spec: apiregistrationv1.APIServiceSpec{
			Group: "reports.example.org", Version: "v1", GroupPriorityMinimum: 1000, VersionPriority: 10, InsecureSkipTLSVerify: true,
			Service: &apiregistrationv1.ServiceReference{Namespace: "default", Name: "reports"},
		},
	}, metav1.CreateOptions{}))(t)

	_, then, err := s.Bus.Log().Range(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.then = then

	settings.Data["color"] = "blue"
	must(core.ConfigMaps("default").Update(t.Context(), settings, metav1.UpdateOptions{}))(t)
	now := int64(0)
	for _, err := range []error{
		core.Pods("default").DeleteCollection(t.Context(), metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{}),
		core.Secrets("default").Delete(t.Context(), "gone", metav1.DeleteOptions{}),
		widgets.Delete(t.Context(), "small", metav1.DeleteOptions{}),
		definitions.Delete(t.Context(), "widgets.example.com", metav1.DeleteOptions{}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(core.Pods("default").Create(t.Context(), makePod("new", "new"), metav1.CreateOptions{}))(t)
	kept := must(core.Secrets("default").Get(t.Context(), "kept", metav1.GetOptions{}))(t)
	kept.Data["password"] = []byte("second")
	must(core.Secrets("default").Update(t.Context(), kept, metav1.UpdateOptions{}))(t)
	eventually(t, "the definition is gone", func(ctx context.Context) (bool, error) {
		_, err := definitions.Get(ctx, "widgets.example.com", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	return s
}
