package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/reckon-project/reckon/bus"
	busclient "github.com/reckon-project/reckon/bus/client"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway/gatewaytest"
	"github.com/reckon-project/reckon/projections"
)

// operator is a custom controller that may do something about deployments.
type operator struct {
	*busclient.Client
	t     *testing.T
	admin *kubernetes.Clientset
}

func newOperator(t *testing.T, c *gatewaytest.Cluster, rules ...rbacv1.PolicyRule) *operator {
	t.Helper()
	o := &operator{busclient.New(c.Bus, busclient.Identity("default", "operator")), t, kubernetes.NewForConfigOrDie(c.Admin)}
	meta := metav1.ObjectMeta{Name: "operator", Namespace: "default"}
	o.must(o.admin.CoreV1().ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{}))
	o.must(o.admin.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "operator"}, Rules: rules}, metav1.CreateOptions{}))
	return o
}

// allow binds the rules given to newOperator.
func (o *operator) allow() {
	o.t.Helper()
	o.must(o.admin.RbacV1().ClusterRoleBindings().Create(o.t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "operator"},
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "operator"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "default", Name: "operator"}},
	}, metav1.CreateOptions{}))
}

func (o *operator) must(_ any, err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *operator) deployment(name string) *appsv1.Deployment {
	o.t.Helper()
	labels := map[string]string{"app": name}
	d, err := o.admin.AppsV1().Deployments("default").Create(o.t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}},
		},
	}, metav1.CreateOptions{})
	o.must(d, err)
	return d
}

// call is one API request as one message.
func (o *operator) call(method, path string) (status string, body []byte) {
	o.t.Helper()
	m, err := o.Request(o.t.Context(), busclient.Subject(o.Identity(), "do"), events.Header{busclient.HeaderMethod: {method}, busclient.HeaderPath: {path}}, nil)
	o.must(m, err)
	return m.Header[busclient.HeaderStatus][0], m.Data
}

func (o *operator) poll(after uint64) busclient.LogBatch {
	o.t.Helper()
	q, _ := json.Marshal(busclient.LogRequest{Resources: []busclient.Resource{{Group: "apps", Resource: "deployments"}}, After: after, Wait: 1})
	m, err := o.Request(o.t.Context(), busclient.Subject(o.Identity(), "log"), nil, q)
	o.must(m, err)
	var b busclient.LogBatch
	o.must(b, json.Unmarshal(m.Data, &b))
	return b
}

func (o *operator) report(d *appsv1.Deployment, n uint64, patch string) (uint64, error) {
	return o.Log().Append(o.t.Context(), bus.Entry{Event: &events.Event{
		Prefix: events.PrefixFact, Reporter: o.Identity(), Key: events.Key{Group: "apps", Resource: "deployments", Namespace: "default", Name: d.Name},
		ID: bus.NewID(), Type: events.Reported, Time: time.Now(), UID: string(d.UID), Counter: events.Counter{Incarnation: 1, N: n},
		ContentType: events.ContentPatch, Data: []byte(patch),
	}})
}

func TestACustomControllerHasTheRightsOfItsServiceAccount(t *testing.T) {
	c := gatewaytest.Start(t)
	stranger := busclient.New(c.Bus, busclient.Identity("default", "nobody"))
	if _, err := stranger.Lead(t.Context(), stranger.Identity(), "me"); !errors.Is(err, events.ErrInvalid) {
		t.Errorf("one without a service account leads: %v", err)
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://reckon/api", nil)
	if resp, err := stranger.Transport().RoundTrip(req); err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("one without a service account: %v, %v", resp, err)
	}
	o := newOperator(t, c, rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments", "deployments/status"}, Verbs: []string{"list", "watch", "get", "patch"}})
	d := o.deployment("web")
	if status, _ := o.call("GET", "/apis/apps/v1/deployments"); status != "403" {
		t.Errorf("without a role: %s", status)
	}
	if b := o.poll(1); b.Error == nil || !errors.Is(b.Error, events.ErrInvalid) || !strings.Contains(b.Error.Message, "deployments.apps") {
		t.Errorf("without a role the log says %+v", b)
	}
	if _, err := o.report(d, 1, `{"status":{"replicas":1}}`); !errors.Is(err, events.ErrInvalid) {
		t.Errorf("without a role a fact is stored: %v", err)
	}

	// A projection that was started before the role came waits for it.
	followed := o.Follow(busclient.Resource{Group: "apps", Resource: "deployments"})
	p := projections.New(followed, projections.Volatile())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go p.Run(ctx)
	o.allow()
	if err := p.WaitFor(ctx, 1); err != nil {
		t.Fatal(err)
	}
	seen := func() *events.Object {
		return p.Snapshot().Get(events.Key{Group: "apps", Resource: "deployments", Namespace: "default", Name: "web"})
	}
	if o := seen(); !o.Exists() || o.Version == 0 || o.Meta().GetUID() != d.UID {
		t.Fatalf("the projection holds %+v", o)
	}
	if status, body := o.call("GET", "/apis/apps/v1/deployments"); status != "200" || !strings.Contains(string(body), `"web"`) {
		t.Errorf("with a role: %s %s", status, body)
	}
	if status, body := o.call("GET", "/apis/apps/v1/deployments?watch=true"); status != "400" {
		t.Errorf("a watch as a message: %s %s", status, body)
	}
	if status, _ := o.call("GET", "/apis"); status != "200" {
		t.Errorf("discovery: %s", status)
	}
	now := o.poll(0).Position
	seq, err := o.report(d, 1, `{"status":{"replicas":1}}`)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.WaitFor(ctx, seq); err != nil || seen().Version != seq {
		t.Errorf("the projection is at %d (%v), the fact is %d", seen().Version, err, seq)
	}
	if b := o.poll(now); len(b.Events) != 1 || b.Events[0].Sequence != seq || b.Events[0].Type != events.Reported || string(b.Events[0].Data) != `{"status":{"replicas":1}}` {
		t.Errorf("the log says %+v", b)
	}
	if e, err := c.Bus.Log().Get(t.Context(), seq); err != nil || e.Actor != "system:serviceaccount:default:operator" || e.Reporter != "controller:default:operator" {
		t.Errorf("the fact is %+v (%v)", e, err)
	}
	if again, err := o.report(d, 1, `{"status":{"replicas":2}}`); !errors.Is(err, events.ErrVoid) || again <= seq {
		t.Errorf("the same counter again: %d, %v", again, err)
	}
	if _, err := o.report(d, 2, `{"spec":{"replicas":2}}`); !errors.Is(err, events.ErrVoid) {
		t.Errorf("a fact about spec: %v", err)
	}
	// What was void isn't handed out, and what others wrote moves the position.
	o.must(o.admin.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "other"}}, metav1.CreateOptions{}))
	last := c.Log.Snapshot().Position()
	followed.Reach(last)
	if err := p.WaitFor(ctx, last); err != nil {
		t.Fatal(err)
	}
	if b := o.poll(seq); len(b.Events) != 0 || b.Error != nil {
		t.Errorf("the log says %+v", b)
	}
	// The service account goes, and with it all rights.
	o.must(nil, o.admin.CoreV1().ServiceAccounts("default").Delete(t.Context(), "operator", metav1.DeleteOptions{}))
	if status, _ := o.call("GET", "/apis/apps/v1/deployments"); status != "401" {
		t.Errorf("without a service account: %s", status)
	}
	if _, err := o.report(d, 3, `{"status":{"replicas":3}}`); !errors.Is(err, events.ErrInvalid) {
		t.Errorf("without a service account: %v", err)
	}
}

func TestOneReplicaOfACustomControllerLeads(t *testing.T) {
	c := gatewaytest.Start(t)
	o := newOperator(t, c, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"*"}})
	o.allow()
	first, err := o.Lead(t.Context(), o.Identity(), "first")
	if err != nil {
		t.Fatal(err)
	}
	next := make(chan bus.Leadership)
	go func() {
		l, err := o.Lead(t.Context(), o.Identity(), "second")
		if err != nil {
			t.Error(err)
		}
		next <- l
	}()
	// A write under one's own leadership carries its epoch; under another's it doesn't.
	write := func(name, component string, epoch string) *events.Event {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://reckon/api/v1/namespaces/default/configmaps", strings.NewReader(`{"metadata":{"name":"`+name+`"}}`))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Reckon-Component", component)
		req.Header.Set("Reckon-Epoch", epoch)
		req.Header.Set("Reckon-Reason", "Made")
		resp, err := o.Transport().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			t.Fatalf("%s: %s", resp.Status, body)
		}
		e, err := c.Bus.Log().Last(t.Context(), events.Key{Resource: "configmaps", Namespace: "default", Name: name}.Subject())
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	epoch := strconv.FormatUint(first.Epoch, 10)
	if e := write("mine", o.Identity(), epoch); e.Epoch != first.Epoch || e.Component != o.Identity() || e.Reason != "Made" {
		t.Errorf("under its own leadership: %+v", e)
	}
	if e := write("others", "controllers", epoch); e.Epoch != 0 || e.Component != "" {
		t.Errorf("under another's leadership: %+v", e)
	}
	first.Release()
	second := <-next
	defer second.Release()
	if second.Epoch <= first.Epoch || first.Context.Err() == nil || second.Context.Err() != nil {
		t.Errorf("the second leads since %d after %d", second.Epoch, first.Epoch)
	}
}
