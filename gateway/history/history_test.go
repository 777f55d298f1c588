package history_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway"
	"github.com/reckon-project/reckon/gateway/gatewaytest"
	"github.com/reckon-project/reckon/gateway/history"
	"github.com/reckon-project/reckon/gateway/store"
	past "github.com/reckon-project/reckon/projections/history"
	"github.com/reckon-project/reckon/projections/sealed"
)

// desk is a server and who asks it.
type desk struct {
	t       *testing.T
	cluster *gatewaytest.Cluster
	admin   *kubernetes.Clientset
	keys    *sealed.Keyring
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	dir := t.TempDir()
	key, err := sealed.ClusterKey(filepath.Join(dir, "cluster.key"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := sealed.NewFileStore(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t}
	if d.keys, err = sealed.NewKeyring(key, files); err != nil {
		t.Fatal(err)
	}
	d.cluster = gatewaytest.Start(t, func(o *gateway.Options) { o.Sealer = store.SealSecrets(d.keys) })
	if d.admin, err = kubernetes.NewForConfig(d.cluster.Admin); err != nil {
		t.Fatal(err)
	}
	return d
}

// as asks for something as a user (with a token's rights: impersonation is
// authorised the same way) and gives the status code and the body.
func (d *desk) as(user, method, path string, query url.Values) (int, []byte) {
	d.t.Helper()
	config := rest.CopyConfig(d.cluster.Admin)
	if user != "" {
		config.Impersonate.UserName = user
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		d.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(d.t.Context(), method, config.Host+path+"?"+query.Encode(), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	answer, err := client.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return answer.StatusCode, body
}

// ask is as, decoded, and fails unless it is answered.
func (d *desk) ask(user, method, path string, query url.Values, out any) {
	d.t.Helper()
	code, body := d.as(user, method, path, query)
	if code != http.StatusOK {
		d.t.Fatalf("%s %s as %q: %d %s", method, path, user, code, body)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(out); err != nil {
		d.t.Fatalf("%s: %v in %s", path, err, body)
	}
}

func (d *desk) refused(code int, says, user, method, path string, query url.Values) {
	d.t.Helper()
	got, body := d.as(user, method, path, query)
	var status metav1.Status
	if err := json.Unmarshal(body, &status); err != nil || got != code || !strings.Contains(status.Message, says) {
		d.t.Errorf("%s %s as %q: %d %s, want %d saying %q", method, path, user, got, body, code, says)
	}
}

// allow lets a user do something with a resource in a namespace.
func (d *desk) allow(user, namespace string, rule rbacv1.PolicyRule) {
	d.t.Helper()
	name := fmt.Sprintf("%s-%s-%s", user, strings.Join(rule.Verbs, ""), strings.ReplaceAll(strings.Join(rule.Resources, ""), "*", "all"))
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{rule}}
	if _, err := d.admin.RbacV1().Roles(namespace).Create(d.t.Context(), role, metav1.CreateOptions{}); err != nil {
		d.t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name},
		Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: user}},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name}}
	if _, err := d.admin.RbacV1().RoleBindings(namespace).Create(d.t.Context(), binding, metav1.CreateOptions{}); err != nil {
		d.t.Fatal(err)
	}
}

// settled waits until a user's rights have arrived at the authorizer.
func (d *desk) settled(user, path string, query url.Values) {
	d.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if code, _ := d.as(user, http.MethodGet, path, query); code != http.StatusForbidden {
			return
		}
		select {
		case <-d.t.Context().Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	d.t.Fatalf("%s may still not get %s", user, path)
}

var settings = events.Key{Resource: "configmaps", Namespace: "default", Name: "settings"}

func (d *desk) configMap(data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: settings.Name, Namespace: settings.Namespace}, Data: data}
}

// TestHistory goes through the questions as an administrator.
func TestHistory(t *testing.T) {
	d := newDesk(t)
	maps := d.admin.CoreV1().ConfigMaps("default")
	made, err := maps.Create(t.Context(), d.configMap(map[string]string{"color": "blue"}), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	changed := made.DeepCopy()
	changed.Data = map[string]string{"color": "green", "more": "x"}
	if changed, err = maps.Update(t.Context(), changed, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}

	var life past.Life
	d.ask("", http.MethodGet, history.Path("objects", settings), nil, &life)
	if len(life.Steps) != 2 || life.Steps[0].Type != events.Created || len(life.Steps[1].Fields) != 2 || life.Steps[1].Fields[0].Path != "data.color" || life.Steps[1].By == "" {
		t.Errorf("history: %+v", life)
	}
	d.ask("", http.MethodGet, history.Path("objects", settings), url.Values{"last": {"1"}}, &life)
	if len(life.Steps) != 1 {
		t.Errorf("the last step: %+v", life.Steps)
	}
	var was corev1.ConfigMap
	d.ask("", http.MethodGet, history.Path("objects", settings), url.Values{"version": {made.ResourceVersion}}, &was)
	if was.Data["color"] != "blue" || was.ResourceVersion != made.ResourceVersion || was.Kind != "ConfigMap" || was.ManagedFields != nil {
		t.Errorf("the first version: %+v", was)
	}
	var versions past.Versions
	d.ask("", http.MethodGet, history.Path("objects", settings), url.Values{"diff": {made.ResourceVersion + "..now"}}, &versions)
	if len(versions.Fields) != 2 {
		t.Errorf("between versions: %+v", versions)
	}
	var why past.Answer
	d.ask("", http.MethodGet, history.Path("why", settings), url.Values{"field": {"data.color"}}, &why)
	if len(why.Roots) != 1 || !strings.Contains(why.Now[0], "changed it from blue") {
		t.Errorf("why: %+v", why)
	}
	var traces past.Traces
	d.ask("", http.MethodGet, history.Path("trace", settings), nil, &traces)
	if len(traces.ResourceSpans) != 1 || len(traces.ResourceSpans[0].ScopeSpans[0].Spans) != 2 {
		t.Errorf("trace: %+v", traces)
	}
	var diff past.Difference
	d.ask("", http.MethodGet, history.Prefix+"diff", url.Values{"from": {made.ResourceVersion}, "namespace": {"default"}}, &diff)
	found := false
	for _, o := range diff.Objects {
		found = found || o.Object.Key() == settings && o.Op == past.Changed && len(o.Fields) == 2
	}
	if !found {
		t.Errorf("difference: %+v", diff)
	}

	// An undo: planned, refused when it's stale, done, and in the log as what it is.
	var plan past.Undo
	d.ask("", http.MethodGet, history.Path("undo", settings), nil, &plan)
	if fmt.Sprint(plan.To) != made.ResourceVersion || plan.Version != changed.ResourceVersion || len(plan.Fields) != 2 {
		t.Fatalf("plan: %+v", plan)
	}
	d.refused(http.StatusConflict, "look at it again", "", http.MethodPost, history.Path("undo", settings), url.Values{"resourceVersion": {made.ResourceVersion}})
	var done history.Undone
	d.ask("", http.MethodPost, history.Path("undo", settings), url.Values{"resourceVersion": {plan.Version}, "to": {fmt.Sprint(plan.To)}}, &done)
	now, err := maps.Get(t.Context(), settings.Name, metav1.GetOptions{})
	if err != nil || now.Data["color"] != "blue" || now.Data["more"] != "" || now.ResourceVersion != done.Version {
		t.Errorf("after the undo: %+v, %v", now, err)
	}
	d.ask("", http.MethodGet, history.Path("objects", settings), nil, &life)
	if s := life.Steps[len(life.Steps)-1]; s.Reason != "Undone" || len(s.Cause) != 1 || fmt.Sprint(s.Cause[0]) != changed.ResourceVersion || s.Actor == "" {
		t.Errorf("the event of the undo: %+v", s)
	}

	// What is gone comes back.
	if err := maps.Delete(t.Context(), settings.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	d.ask("", http.MethodPost, history.Path("undo", settings), nil, &done)
	if now, err = maps.Get(t.Context(), settings.Name, metav1.GetOptions{}); err != nil || now.Data["color"] != "blue" || now.UID == made.UID {
		t.Errorf("after the deletion was undone: %+v, %v", now, err)
	}

	d.refused(http.StatusNotFound, "no event of it", "", http.MethodGet, history.Path("objects", events.Key{Resource: "pods", Namespace: "default", Name: "nobody"}), nil)
	d.refused(http.StatusBadRequest, "is in the future", "", http.MethodGet, history.Path("objects", settings), url.Values{"version": {"99999999"}})
	d.refused(http.StatusBadRequest, "none of a sequence", "", http.MethodGet, history.Path("objects", settings), url.Values{"version": {"yesterday"}})
	d.refused(http.StatusGone, "it begins at 20", "", http.MethodGet, history.Prefix+"diff", url.Values{"from": {"10d"}})
	d.refused(http.StatusNotFound, "never had such a field", "", http.MethodGet, history.Path("why", settings), url.Values{"field": {"data.nothing"}})
}

// TestWhoMayAsk: the past needs the rights that the present needs.
func TestWhoMayAsk(t *testing.T) {
	d := newDesk(t)
	maps := d.admin.CoreV1().ConfigMaps("default")
	made, err := maps.Create(t.Context(), d.configMap(map[string]string{"color": "blue"}), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	made.Data["color"] = "green"
	if _, err := maps.Update(t.Context(), made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	get := func(verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{Verbs: verbs, APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{settings.Name}}
	}
	paths := []string{history.Path("objects", settings), history.Path("why", settings), history.Path("trace", settings), history.Path("undo", settings)}
	for _, path := range paths {
		d.refused(http.StatusForbidden, `cannot get resource "configmaps"`, "eve", http.MethodGet, path, nil)
	}
	d.allow("eve", "default", get("get"))
	d.settled("eve", paths[0], nil)
	for _, path := range paths {
		var out any
		d.ask("eve", http.MethodGet, path, nil, &out)
	}
	other := settings
	other.Name = "other"
	d.refused(http.StatusForbidden, `configmaps "other" is forbidden`, "eve", http.MethodGet, history.Path("objects", other), nil)
	d.refused(http.StatusForbidden, `cannot update resource "configmaps"`, "eve", http.MethodPost, history.Path("undo", settings), nil)

	// Whoever may update may undo, and the event says who it was.
	d.allow("eve", "default", get("update"))
	for deadline := time.Now().Add(30 * time.Second); ; {
		code, body := d.as("eve", http.MethodPost, history.Path("undo", settings), nil)
		if code == http.StatusOK {
			break
		}
		if code != http.StatusForbidden || time.Now().After(deadline) {
			t.Fatalf("undo as eve: %d %s", code, body)
		}
	}
	var life past.Life
	d.ask("eve", http.MethodGet, history.Path("objects", settings), nil, &life)
	if s := life.Steps[len(life.Steps)-1]; s.Actor != "eve" || s.Reason != "Undone" {
		t.Errorf("the undo was by %q: %+v", s.Actor, s)
	}

	// A namespace's difference needs all of it, the cluster's the URL.
	inDefault := url.Values{"from": {"1"}, "namespace": {"default"}}
	d.refused(http.StatusForbidden, "cannot list resource", "eve", http.MethodGet, history.Prefix+"diff", inDefault)
	d.refused(http.StatusForbidden, `cannot get path "/history/v1/diff"`, "eve", http.MethodGet, history.Prefix+"diff", url.Values{"from": {"1"}})
	d.allow("eve", "default", rbacv1.PolicyRule{Verbs: []string{"list"}, APIGroups: []string{"*"}, Resources: []string{"*"}})
	d.settled("eve", history.Prefix+"diff", inDefault)
	var diff past.Difference
	d.ask("eve", http.MethodGet, history.Prefix+"diff", inDefault, &diff)
	for _, o := range diff.Objects {
		if o.Object.Namespace != "default" {
			t.Errorf("a difference of default tells of %s", o.Object.Key())
		}
	}
	d.refused(http.StatusForbidden, "cannot get path", "eve", http.MethodGet, history.Prefix+"diff", url.Values{"from": {"1"}})
	d.refused(http.StatusForbidden, "", "system:anonymous", http.MethodGet, history.Path("objects", settings), nil)
}

// TestOthersAreBlanked: a chain tells nothing about objects that who asks may not get.
func TestOthersAreBlanked(t *testing.T) {
	d := newDesk(t)
	made, err := d.admin.CoreV1().ConfigMaps("default").Create(t.Context(), d.configMap(map[string]string{"color": "blue"}), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod := events.Key{Resource: "pods", Namespace: "default", Name: "caused"}
	object := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, UID: "u"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	data, err := events.EncodeObject(object)
	if err != nil {
		t.Fatal(err)
	}
	var cause uint64
	fmt.Sscan(made.ResourceVersion, &cause)
	gatewaytest.Append(t, d.cluster, &events.Event{
		Prefix: events.PrefixDecision, Key: pod, Source: "test", Actor: "system:test", Type: events.Created,
		ContentType: events.ContentObject, Data: data, Cause: []uint64{cause},
	})
	d.allow("eve", "default", rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}})
	d.settled("eve", history.Path("why", pod), nil)
	var answer past.Answer
	d.ask("eve", http.MethodGet, history.Path("why", pod), nil, &answer)
	if root := answer.Roots[0]; !root.Hidden || root.Object.Name != "" || root.By != "" || len(root.Says) != 0 || len(root.Children) != 1 || root.Children[0].Hidden {
		t.Errorf("eve sees %+v", root)
	}
	_, body := d.as("eve", http.MethodGet, history.Path("trace", pod), nil)
	if strings.Contains(string(body), settings.Name) {
		t.Errorf("eve's trace tells of %s: %s", settings.Name, body)
	}
	var whole past.Answer
	d.ask("", http.MethodGet, history.Path("why", pod), nil, &whole)
	if root := whole.Roots[0]; root.Hidden || root.Missing != "" || root.Object.Name != settings.Name {
		t.Errorf("an administrator sees %+v", root)
	}
}

// TestSecrets: no answer holds a value, and an undo brings one back unseen.
func TestSecrets(t *testing.T) {
	d := newDesk(t)
	secrets := d.admin.CoreV1().Secrets("default")
	key := events.Key{Resource: "secrets", Namespace: "default", Name: "password"}
	const first, second = "correct horse", "battery staple"
	made, err := secrets.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: key.Name}, Data: map[string][]byte{"word": []byte(first)}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	changed := made.DeepCopy()
	changed.Data["word"] = []byte(second)
	if _, err := secrets.Update(t.Context(), changed, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	var life past.Life
	d.ask("", http.MethodGet, history.Path("objects", key), nil, &life)
	if f := life.Steps[1].Fields; len(f) != 1 || f[0].Path != "data.word" || !f[0].Secret || f[0].Old != nil || f[0].New != nil {
		t.Errorf("the change of a secret: %+v", f)
	}
	var was corev1.Secret
	d.ask("", http.MethodGet, history.Path("objects", key), url.Values{"version": {made.ResourceVersion}}, &was)
	if was.StringData["word"] != "(hidden)" || len(was.Data) != 0 {
		t.Errorf("a version of a secret: %+v", was)
	}
	for _, query := range []url.Values{nil, {"version": {"now"}}, {"diff": {made.ResourceVersion + "..now"}}} {
		if _, body := d.as("", http.MethodGet, history.Path("objects", key), query); strings.Contains(string(body), "sealed") || strings.Contains(string(body), "reckon:") {
			t.Errorf("%v gives envelopes: %s", query, body)
		}
	}
	_, body := d.as("", http.MethodGet, history.Path("why", key), url.Values{"field": {"data.word"}})
	if !strings.Contains(string(body), "(hidden)") {
		t.Errorf("why data.word: %s", body)
	}
	var done history.Undone
	d.ask("", http.MethodPost, history.Path("undo", key), nil, &done)
	now, err := secrets.Get(t.Context(), key.Name, metav1.GetOptions{})
	if err != nil || string(now.Data["word"]) != first {
		t.Errorf("after the undo: %q, %v", now.Data["word"], err)
	}
	if err := secrets.Delete(t.Context(), key.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	d.refused(http.StatusGone, "destroyed", "", http.MethodPost, history.Path("undo", key), nil)
}
