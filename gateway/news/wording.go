package news

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// components are the names under which Kubernetes' Events come, by those that the
// log knows: of service accounts of controllers, and of sources. What isn't here
// has the same name.
var components = map[string]string{
	"agent":                             "kubelet",
	"scheduler":                         corev1.DefaultSchedulerName,
	"daemon-set-controller":             "daemonset-controller",
	"disruption-controller":             "controllermanager",
	"endpointslice-controller":          "endpoint-slice-controller",
	"endpointslicemirroring-controller": "endpoint-slice-mirroring-controller",
	"ephemeral-volume-controller":       "ephemeral_volume",
	"expand-controller":                 "volume_expand",
	"generic-garbage-collector":         "garbage-collector-controller",
	"persistent-volume-binder":          "persistentvolume-controller",
	"resource-claim-controller":         "resource_claim",
	"service-cidrs-controller":          "service-cidr-controller",
}

// nodeController is the account of several controllers, and the name of one.
const nodeController = "node-controller"

// reasonsOf are the reasons of others that act as the node controller.
var reasonsOf = map[string]string{
	"TaintManagerEviction": "taint-eviction-controller",
	"CIDRNotAvailable":     "cidrAllocator",
	"CIDRAssignmentFailed": "cidrAllocator",
}

// teller names the component behind an event, and its node.
func teller(e *events.Event) (component, host string) {
	source := e.Source
	if account, ok := strings.CutPrefix(e.Actor, controllerAccounts); ok && (source == "gateway" || source == "controllers") {
		source = account
	}
	component, host, _ = strings.Cut(source, "/")
	if e.Prefix == events.PrefixFact {
		host = e.Reporter
	}
	if component == nodeController && reasonsOf[e.Reason] != "" {
		component = reasonsOf[e.Reason]
	}
	if name, ok := components[component]; ok {
		component = name
	}
	return component, host
}

// nodeStory tells that a node came or went as the node controller does; nil: c is
// another change.
func nodeStory(c *projections.Change) *story {
	e := c.Event
	if c.Void != nil || e.Key.Resource != "nodes" || e.Key.Group != "" || e.Prefix != events.PrefixDecision {
		return nil
	}
	var s *story
	switch {
	case e.Type == events.Joined && c.New.Exists():
		s = storyOf(e, c.New)
		s.reason, s.note = "RegisteredNode", fmt.Sprintf("Node %s event: Registered Node %[1]s in Controller", e.Key.Name)
	case e.Type == events.Deleted && c.Old.Exists():
		s = storyOf(e, c.Old)
		s.reason, s.note = "RemovingNode", fmt.Sprintf("Node %s event: Removing Node %[1]s from Controller", e.Key.Name)
	default:
		return nil
	}
	s.component, s.host = nodeController, ""
	return s
}

// untold reports what Kubernetes tells nobody: that a pod was removed in the end,
// that it is back with its node. And a claim without a controller is told of with
// the pod that it was made for, which has one.
func untold(e *events.Event, object *events.Object) bool {
	switch {
	case object.Key.Group != "":
		return false
	case object.Key.Resource == "pods":
		return e.Reason == "PodRemoved" || e.Reason == "NodeReady"
	case object.Key.Resource == "persistentvolumeclaims":
		return e.Reason == "SuccessfulCreate" && metav1.GetControllerOf(object.Meta()) == nil
	}
	return false
}

// worded is a step's note in Kubernetes' words: why a node's state changed, which
// the log has in brackets, is left out, so that the same change counts up.
func worded(about *corev1.ObjectReference, step events.Step) string {
	if about.Kind == "Node" && (step.Reason == "NodeReady" || step.Reason == "NodeNotReady") {
		note, _, _ := strings.Cut(step.Note, " (")
		return note
	}
	return step.Note
}
