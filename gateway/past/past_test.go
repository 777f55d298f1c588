package past_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
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

func TestPast(t *testing.T) {
	s := newStory(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *story)
	}{
		{"objects and lists", testObjects},
		{"what the moment is", testMoments},
		{"tables", testTables},
		{"watches", testWatches},
		{"versions of the past", testVersions},
		{"custom resources", testCustom},
		{"discovery", testDiscovery},
		{"OpenAPI", testOpenAPI},
		{"secrets", testSecrets},
		{"events", testEvents},
		{"what isn't a read", testWrites},
		{"rights", testRights},
		{"where the history begins", testBeginning}, // the last: it trims
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
}

func podNames(l *corev1.PodList) string {
	var names []string
	for _, p := range l.Items {
		names = append(names, p.Name)
	}
	return strings.Join(names, " ")
}

func testObjects(t *testing.T, s *story) {
	then := s.clientAt(t, s.then).CoreV1()
	if m := must(then.ConfigMaps("default").Get(t.Context(), "settings", metav1.GetOptions{}))(t); m.Data["color"] != "red" {
		t.Errorf("the color then was %s", m.Data["color"])
	}
	if m := must(s.admin.CoreV1().ConfigMaps("default").Get(t.Context(), "settings", metav1.GetOptions{}))(t); m.Data["color"] != "blue" {
		t.Errorf("the color now is %s", m.Data["color"])
	}
	if _, err := then.Pods("default").Get(t.Context(), "new", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a pod made later: %v", err)
	}
	for _, list := range []struct {
		options metav1.ListOptions
		want    string
	}{
		{metav1.ListOptions{}, "old-0 old-1 old-2"},
		{metav1.ListOptions{ResourceVersion: "0"}, "old-0 old-1 old-2"},
		{metav1.ListOptions{LabelSelector: "app=new"}, ""},
		{metav1.ListOptions{LabelSelector: "app=old", FieldSelector: "metadata.name=old-1"}, "old-1"},
	} {
		l := must(then.Pods("").List(t.Context(), list.options))(t)
		if got := podNames(l); got != list.want || l.ResourceVersion != fmt.Sprint(s.then) {
			t.Errorf("%+v lists %q at %s, want %q at %d", list.options, got, l.ResourceVersion, list.want, s.then)
		}
	}
	first := must(then.Pods("default").List(t.Context(), metav1.ListOptions{Limit: 2}))(t)
	rest := must(then.Pods("default").List(t.Context(), metav1.ListOptions{Limit: 2, Continue: first.Continue}))(t)
	if got := podNames(first) + " | " + podNames(rest); got != "old-0 old-1 | old-2" || *first.RemainingItemCount != 1 {
		t.Errorf("in pages: %s", got)
	}
	if l := must(then.ConfigMaps("").List(t.Context(), metav1.ListOptions{}))(t); len(l.Items) == 0 {
		t.Error("no config maps in all namespaces")
	}
}

func testMoments(t *testing.T, s *story) {
	var m past.Moment
	if err := json.Unmarshal([]byte(s.raw(t, "", "application/json")), &m); err != nil || m.Sequence != s.then || m.Time.IsZero() {
		t.Errorf("the moment is %+v: %v", m, err)
	}
	for _, when := range []string{"now", "0s", time.Now().UTC().Format(time.RFC3339Nano)} {
		if l := must(s.clientAt(t, when).CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{}))(t); podNames(l) != "new" {
			t.Errorf("at %s there are %s", when, podNames(l))
		}
	}
	byTime := s.clientAt(t, m.Time.UTC().Format(time.RFC3339Nano)).CoreV1()
	if l := must(byTime.Pods("default").List(t.Context(), metav1.ListOptions{}))(t); podNames(l) != "old-0 old-1 old-2" {
		t.Errorf("by its time there are %s", podNames(l))
	}
	for _, wrong := range []struct{ when, says string }{
		{"9999999", "position 9999999 is in the future: the log ends at"},
		{"2999-01-01T00:00:00Z", "is in the future: it is"},
		{"yesterday", "moment \"yesterday\" is none of a sequence like 12345"},
	} {
		_, err := s.clientAt(t, wrong.when).CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
		if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), wrong.says) {
			t.Errorf("at %s: %v", wrong.when, err)
		}
	}
	_, err := s.clientAt(t, "10d").CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
	if !apierrors.IsGone(err) || !strings.Contains(err.Error(), "is before the history that is kept: it begins at 20") {
		t.Errorf("ten days ago: %v", err)
	}
}

func testTables(t *testing.T, s *story) {
	for _, name := range []string{"old-0", "new"} {
		if has, want := strings.Contains(s.raw(t, "/api/v1/namespaces/default/pods", table), fmt.Sprintf("%q", name)), name == "old-0"; has != want {
			t.Errorf("the table has %s: %v", name, has)
		}
	}
	// Ages are those of then: the pods had just been made.
	var got metav1.Table
	if err := json.Unmarshal([]byte(s.raw(t, "/api/v1/namespaces/default/pods/old-0", table)), &got); err != nil {
		t.Fatal(err)
	}
	column := slices.IndexFunc(got.ColumnDefinitions, func(c metav1.TableColumnDefinition) bool { return c.Name == "Age" })
	cell := got.Rows[0].Cells[column].(string)
	age, err := time.ParseDuration(cell)
	made := must(s.clientAt(t, s.then).CoreV1().Pods("default").Get(t.Context(), "old-0", metav1.GetOptions{}))(t)
	var m past.Moment
	if err := errors(err, json.Unmarshal([]byte(s.raw(t, "/", "application/json")), &m)); err != nil {
		t.Fatal(err)
	}
	if want := m.Time.Sub(made.CreationTimestamp.Time).Truncate(time.Second); age != want {
		t.Errorf("a pod's age is %s, it was %s", cell, want)
	}
}

func errors(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

func testWatches(t *testing.T, s *story) {
	pods := s.clientAt(t, s.then).CoreV1().Pods("default")
	next := func(w watch.Interface) string {
		t.Helper()
		e, ok := <-w.ResultChan()
		if !ok {
			return "end"
		}
		return string(e.Type) + " " + e.Object.(metav1.ObjectMetaAccessor).GetObjectMeta().GetName()
	}
	seconds := int64(1)
	for _, test := range []struct {
		what    string
		options metav1.ListOptions
		want    string
	}{
		{"with the state", metav1.ListOptions{}, "ADDED old-0, ADDED old-1, ADDED old-2, end"},
		{"from a version", metav1.ListOptions{ResourceVersion: fmt.Sprint(s.then)}, "end"},
		{"from an earlier version", metav1.ListOptions{ResourceVersion: "1", FieldSelector: "metadata.name=old-0"}, "ADDED old-0, MODIFIED old-0, end"},
	} {
		test.options.TimeoutSeconds = &seconds // it stays quiet until then
		w := must(pods.Watch(t.Context(), test.options))(t)
		var got []string
		for len(got) == 0 || got[len(got)-1] != "end" {
			got = append(got, next(w))
		}
		if seen := strings.Join(got, ", "); seen != test.want {
			t.Errorf("a watch %s sees %s, want %s", test.what, seen, test.want)
		}
	}
}

// testVersions: any version of the history can be listed and watched from,
// without /at too.
func testVersions(t *testing.T, s *story) {
	pods := s.admin.CoreV1().Pods("default")
	l := must(pods.List(t.Context(), metav1.ListOptions{ResourceVersion: fmt.Sprint(s.then), ResourceVersionMatch: metav1.ResourceVersionMatchExact}))(t)
	if podNames(l) != "old-0 old-1 old-2" || l.ResourceVersion != fmt.Sprint(s.then) {
		t.Errorf("exactly at %d there are %s at %s", s.then, podNames(l), l.ResourceVersion)
	}
	w := must(pods.Watch(t.Context(), metav1.ListOptions{ResourceVersion: "1"}))(t)
	defer w.Stop()
	var seen []string
	for len(seen) == 0 || seen[len(seen)-1] != "ADDED new" {
		e := <-w.ResultChan()
		pod, ok := e.Object.(*corev1.Pod)
		if !ok {
			t.Fatalf("%s of %+v", e.Type, e.Object)
		}
		if e.Type != watch.Modified {
			seen = append(seen, string(e.Type)+" "+pod.Name)
		}
	}
	slices.Sort(seen[3:6]) // they were deleted at once
	if got, want := strings.Join(seen, ", "), "ADDED old-0, ADDED old-1, ADDED old-2, DELETED old-0, DELETED old-1, DELETED old-2, ADDED new"; got != want {
		t.Errorf("from the beginning on: %s, want %s", got, want)
	}
}

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

func testSecrets(t *testing.T, s *story) {
	then := s.clientAt(t, s.then).CoreV1().Secrets("default")
	if kept := must(then.Get(t.Context(), "kept", metav1.GetOptions{}))(t); string(kept.Data["password"]) != "first" || kept.Annotations[store.AnnotationDestroyed] != "" {
		t.Errorf("a secret that still exists was %+v", kept)
	}
	shown := []corev1.Secret{*must(then.Get(t.Context(), "gone", metav1.GetOptions{}))(t)}
	shown = append(shown, must(then.List(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=gone"}))(t).Items...)
	for _, gone := range shown {
		if value, ok := gone.Data["password"]; !ok || len(value) > 0 || !strings.Contains(gone.Annotations[store.AnnotationDestroyed], "destroyed") {
			t.Errorf("a deleted secret is shown as %+v", gone)
		}
	}
	if len(shown) != 2 {
		t.Errorf("shown %d times", len(shown))
	}
}

func testEvents(t *testing.T, s *story) {
	then := s.clientAt(t, s.then)
	pod := must(then.CoreV1().Pods("default").Get(t.Context(), "old-0", metav1.GetOptions{}))(t)
	list := must(then.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(pod.UID)}))(t)
	if len(list.Items) != 1 || list.Items[0].Reason != "FailedScheduling" {
		t.Errorf("the log had told %v", list.Items)
	}
	before := s.clientAt(t, pod.ResourceVersion) // of the event itself
	if l := must(before.CoreV1().Events("").List(t.Context(), metav1.ListOptions{}))(t); len(l.Items) == 0 {
		t.Error("its own position doesn't tell it")
	}
	if l := must(s.clientAt(t, 2).CoreV1().Events("").List(t.Context(), metav1.ListOptions{}))(t); len(l.Items) != 0 {
		t.Errorf("at the beginning the log had told %v", l.Items)
	}
	if l := must(then.CoordinationV1().Leases("").List(t.Context(), metav1.ListOptions{}))(t); len(l.Items) != 0 {
		t.Errorf("leases have a past: %v", l.Items)
	}
}

func testWrites(t *testing.T, s *story) {
	then := s.clientAt(t, s.then)
	_, created := then.CoreV1().Pods("default").Create(t.Context(), makePod("x", "x"), metav1.CreateOptions{})
	deleted := then.CoreV1().Pods("default").Delete(t.Context(), "old-0", metav1.DeleteOptions{})
	for _, err := range []error{created, deleted} {
		if !apierrors.IsMethodNotSupported(err) || !strings.HasPrefix(err.Error(), fmt.Sprintf("the past can't be changed: /at/%d serves reads only", s.then)) {
			t.Errorf("a write: %v", err)
		}
	}
	err := then.CoreV1().Pods("default").GetLogs("old-0", &corev1.PodLogOptions{}).Do(t.Context()).Error()
	if !apierrors.IsMethodNotSupported(err) || !strings.Contains(err.Error(), "log of a pod reaches what runs now: it has no past") {
		t.Errorf("logs: %v", err)
	}
	review := must(then.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: "pods"}},
	}, metav1.CreateOptions{}))(t)
	if !review.Status.Allowed {
		t.Error("the administrator may not read pods")
	}
}

func testRights(t *testing.T, s *story) {
	as := func(user string) *kubernetes.Clientset {
		c := s.at(s.then)
		c.Impersonate.UserName = user
		return must(kubernetes.NewForConfig(c))(t)
	}
	rbac := s.admin.RbacV1()
	must(rbac.Roles("default").Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}}},
	}, metav1.CreateOptions{}))(t)
	must(rbac.RoleBindings("default").Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "jane"}},
	}, metav1.CreateOptions{}))(t)
	eventually(t, "jane may list the pods of then, by a role of today", func(ctx context.Context) (bool, error) {
		l, err := as("jane").CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
		return err == nil && podNames(l) == "old-0 old-1 old-2", nil
	})
	if _, err := as("jane").CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("jane lists the secrets of then: %v", err)
	}
	if _, err := as("joe").CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("joe lists the pods of then: %v", err)
	}
	anonymous := must(kubernetes.NewForConfig(rest.AnonymousClientConfig(s.at(s.then))))(t)
	for _, path := range []string{"", "/api/v1/pods"} {
		err := anonymous.RESTClient().Get().RequestURI(path).Do(t.Context()).Error()
		if !apierrors.IsForbidden(err) && !apierrors.IsUnauthorized(err) {
			t.Errorf("somebody asks for %q: %v", path, err)
		}
	}
}

func testBeginning(t *testing.T, s *story) {
	if err := s.Bus.Log().Trim(t.Context(), s.then); err != nil {
		t.Fatal(err)
	}
	_, err := s.clientAt(t, 5).CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
	if !apierrors.IsGone(err) || !strings.Contains(err.Error(), "5 is before the history that is kept: it begins at 20") || !strings.Contains(err.Error(), fmt.Sprintf("(sequence %d)", s.then)) {
		t.Errorf("before the history: %v", err)
	}
	if code := apierrors.ReasonForError(err); code != metav1.StatusReasonGone {
		t.Errorf("its reason is %s (%d)", code, http.StatusGone)
	}
}
