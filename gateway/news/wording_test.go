package news_test

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway/news"
)

// say appends a decision about an object of any kind; nil: a patch that changes nothing.
func (d *desk) say(k events.Key, object runtime.Object, e events.Event) {
	d.t.Helper()
	e.Prefix, e.Key, e.ID, e.Time = events.PrefixDecision, k, bus.NewID(), d.now()
	e.ContentType, e.Data = events.ContentPatch, []byte(`{}`)
	if object != nil {
		data, err := events.EncodeObject(object)
		if err != nil {
			d.t.Fatal(err)
		}
		e.ContentType, e.Data = events.ContentObject, data
	}
	seq, err := d.log.Append(d.t.Context(), bus.Entry{Event: &e})
	if err != nil {
		d.t.Fatal(err)
	}
	if err := d.fold.WaitFor(d.t.Context(), seq); err != nil {
		d.t.Fatal(err)
	}
}

const accounts = "system:serviceaccount:kube-system:"

func TestNodesComeAndGo(t *testing.T) {
	d := newDesk(t, news.Options{})
	node := events.Key{Resource: "nodes", Name: "n1"}
	d.say(node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "n1-uid"}},
		events.Event{Type: events.Joined, Source: "gateway", Verb: "create", Actor: "system:node:n1", Reason: "NodeJoined", Note: "cpu 2"})
	for i := range 2 {
		d.say(node, nil, events.Event{Type: events.Lost, Source: "controllers", Actor: accounts + "node-controller",
			Reason: "NodeNotReady", Note: fmt.Sprintf("Node n1 status is now: NodeNotReady (no heartbeat for %d0s)", 4+i)})
	}
	d.say(node, nil, events.Event{Type: events.Deleted, Source: "gateway", Verb: "delete", Actor: "admin", Reason: "Deleted"})
	d.want(d.list(fields.Everything()),
		"Normal Node/n1 RegisteredNode ×1: Node n1 event: Registered Node n1 in Controller (node-controller)",
		"Normal Node/n1 NodeNotReady ×2: Node n1 status is now: NodeNotReady (node-controller)",
		"Normal Node/n1 RemovingNode ×1: Node n1 event: Removing Node n1 from Controller (node-controller)")
}

// Each component goes by the name that Kubernetes' own recorder has.
func TestWhoTells(t *testing.T) {
	for account, want := range map[string]string{
		"deployment-controller": "deployment-controller", "replicaset-controller": "replicaset-controller", "replication-controller": "replication-controller",
		"statefulset-controller": "statefulset-controller", "daemon-set-controller": "daemonset-controller", "job-controller": "job-controller",
		"cronjob-controller": "cronjob-controller", "horizontal-pod-autoscaler": "horizontal-pod-autoscaler", "disruption-controller": "controllermanager",
		"endpointslice-controller": "endpoint-slice-controller", "endpoint-controller": "endpoint-controller",
		"endpointslicemirroring-controller": "endpoint-slice-mirroring-controller", "ephemeral-volume-controller": "ephemeral_volume",
		"expand-controller": "volume_expand", "generic-garbage-collector": "garbage-collector-controller",
		"persistent-volume-binder": "persistentvolume-controller", "attachdetach-controller": "attachdetach-controller",
		"resource-claim-controller": "resource_claim", "service-cidrs-controller": "service-cidr-controller", "service-controller": "service-controller",
		"node-controller": "node-controller",
	} {
		d := newDesk(t, news.Options{})
		d.append("a", created("admin"))
		d.append("a", events.Event{Type: events.Progressed, Source: "controllers", Actor: accounts + account, Reason: "Tested", Note: "it"})
		d.want(d.list(fields.OneTermEqualSelector("reason", "Tested")), "Normal Pod/a Tested ×1: it ("+want+")")
	}
}

func TestGoodAndBadNews(t *testing.T) {
	d := newDesk(t, news.Options{})
	d.append("a", created("admin"))
	for _, e := range []events.Event{
		{Source: "controllers", Actor: accounts + "node-controller", Reason: "TaintManagerEviction", Note: "Marking for deletion Pod default/a"},
		{Source: "controllers", Actor: accounts + "node-controller", Reason: "NodeNotReady", Note: "Node is not ready"},
		{Source: "controllers", Actor: accounts + "node-controller", Reason: "NodeReady", Note: "Node is back"},
		{Source: "controllers", Actor: accounts + "disruption-controller", Reason: "NotDeleted", Note: "x"},
		{Source: "controllers", Actor: accounts + "persistent-volume-binder", Reason: "FailedBinding", Note: "no persistent volumes available for this claim and no storage class is set"},
		{Source: "controllers", Actor: accounts + "persistent-volume-binder", Reason: "FailedBinding", Note: `volume "v" already bound to a different claim.`},
		{Source: "agent/n1", Reason: "Pulled", Note: "x"},
		{Source: "gateway", Verb: "delete", Actor: accounts + "pod-garbage-collector", Reason: "PodRemoved", Note: "x"},
	} {
		e.Type = events.Progressed
		d.append("a", e)
	}
	d.want(d.list(fields.OneTermNotEqualSelector("reason", "SuccessfulCreate")),
		"Normal Pod/a TaintManagerEviction ×1: Marking for deletion Pod default/a (taint-eviction-controller)",
		"Warning Pod/a NodeNotReady ×1: Node is not ready (node-controller)",
		"Warning Pod/a NotDeleted ×1: x (controllermanager)",
		"Normal Pod/a FailedBinding ×1: no persistent volumes available for this claim and no storage class is set (persistentvolume-controller)",
		`Warning Pod/a FailedBinding ×1: volume "v" already bound to a different claim. (persistentvolume-controller)`,
		"Normal Pod/a Pulled ×1: x (kubelet)")
}

func TestClaimsAreNewsOfTheirSet(t *testing.T) {
	d := newDesk(t, news.Options{})
	d.say(events.Key{Group: "apps", Resource: "statefulsets", Namespace: "default", Name: "web"},
		&appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "web-uid"}}, events.Event{Type: events.Created, Source: "gateway", Verb: "create"})
	for _, set := range []string{"web", "gone"} {
		name := "data-" + set + "-0"
		d.say(events.Key{Resource: "persistentvolumeclaims", Namespace: "default", Name: name},
			&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)}},
			events.Event{Type: events.Created, Source: "gateway", Verb: "create", Actor: accounts + "statefulset-controller",
				Reason: "SuccessfulCreate", Note: fmt.Sprintf("Create Claim %s Pod %s-0 in StatefulSet %[2]s success", name, set)})
	}
	d.want(d.list(fields.Everything()), "Normal StatefulSet/web SuccessfulCreate ×1: Create Claim data-web-0 Pod web-0 in StatefulSet web success (statefulset-controller)")
}
