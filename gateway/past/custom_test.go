package past_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	apiextensionsclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func testCustom(t *testing.T, s *story) {
	then := s.widgets(t, s.at(s.then))
	small := must(then.Get(t.Context(), "small", metav1.GetOptions{}))(t)
	if size, _, _ := unstructured.NestedInt64(small.Object, "spec", "size"); size != 7 {
		t.Errorf("the widget was %v", small.Object)
	}
	if l := must(then.List(t.Context(), metav1.ListOptions{}))(t); len(l.Items) != 1 || l.GetResourceVersion() != fmt.Sprint(s.then) {
		t.Errorf("there were %v at %s", l.Items, l.GetResourceVersion())
	}
	if got := s.raw(t, "/apis/example.com/v1/widgets", table); !strings.Contains(got, `"Size"`) || !strings.Contains(got, `["small",7]`) {
		t.Errorf("the table is %s", got)
	}
	_, err := s.widgets(t, s.at("now")).List(t.Context(), metav1.ListOptions{})
	if !apierrors.IsNotFound(err) || !strings.Contains(err.Error(), "widgets.example.com/v1 was not defined at that moment") {
		t.Errorf("now: %v", err)
	}
	definitions := must(apiextensionsclient.NewForConfig(s.at(s.then)))(t).ApiextensionsV1().CustomResourceDefinitions()
	must(definitions.Get(t.Context(), "widgets.example.com", metav1.GetOptions{}))(t)

	err = s.clientAt(t, s.then).RESTClient().Get().RequestURI("/apis/reports.example.org/v1/reports").Do(t.Context()).Error()
	if code := apierrors.ReasonForError(err); code != "NotImplemented" || !strings.Contains(err.Error(), "was served by another API server, behind the service default/reports") {
		t.Errorf("of an aggregated API: %v", err)
	}
}

func testDiscovery(t *testing.T, s *story) {
	for when, want := range map[any]bool{s.then: true, "now": false} {
		d := s.clientAt(t, when).Discovery()
		_, lists, err := d.ServerGroupsAndResources() // the aggregated form
		if err != nil {
			t.Fatal(err)
		}
		has := slices.ContainsFunc(lists, func(l *metav1.APIResourceList) bool {
			return l.GroupVersion == "example.com/v1" && l.APIResources[0].Name == "widgets" && l.APIResources[0].ShortNames[0] == "wd"
		})
		if has != want || len(lists) < 20 {
			t.Errorf("at %v %d group versions were served, widgets among them: %v", when, len(lists), has)
		}
		list, err := d.ServerResourcesForGroupVersion("example.com/v1")
		if want && (err != nil || list.APIResources[0].Kind != "Widget") || !want && !apierrors.IsNotFound(err) {
			t.Errorf("at %v the version's resources are %v, %v", when, list, err)
		}
		must(d.ServerResourcesForGroupVersion("apps/v1"))(t)
	}
	if got := s.raw(t, "/apis", "application/json"); !strings.Contains(got, `"APIGroupList"`) || !strings.Contains(got, `"example.com/v1"`) {
		t.Errorf("the groups of then: %s", got)
	}
	if got := s.raw(t, "/apis/example.com", "application/json"); !strings.Contains(got, `"preferredVersion"`) {
		t.Errorf("the group: %s", got)
	}
	must(s.clientAt(t, s.then).Discovery().ServerVersion())(t)
}

func testOpenAPI(t *testing.T, s *story) {
	paths := must(s.clientAt(t, s.then).Discovery().OpenAPIV3().Paths())(t)
	for _, gv := range []string{"apis/example.com/v1", "apis/apps/v1", "api/v1"} {
		p, ok := paths[gv]
		if !ok {
			t.Errorf("no schema of %s", gv)
			continue
		}
		if schema := must(p.Schema("application/json"))(t); gv == "apis/example.com/v1" && !strings.Contains(string(schema), `"Widget"`) {
			t.Errorf("the schema of then: %s", schema)
		}
	}
	if paths := must(s.clientAt(t, "now").Discovery().OpenAPIV3().Paths())(t); paths["apis/example.com/v1"] != nil {
		t.Error("now there is a schema of widgets")
	}
	if v2 := s.raw(t, "/openapi/v2", "application/json"); !strings.Contains(v2, "/apis/example.com/v1/namespaces/{namespace}/widgets") || !strings.Contains(v2, "/apis/apps/v1/deployments") {
		t.Error("version 2 of then lacks widgets or deployments")
	}
}
