package news

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

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
// and that it is back with its node.
func untold(e *events.Event, object *events.Object) bool {
	return object.Key.Resource == "pods" && object.Key.Group == "" && (e.Reason == "PodRemoved" || e.Reason == "NodeReady")
}

// claimOfSet makes what is told of a claim that a StatefulSet made news of the set,
// which doesn't control its claims: now is at or after it. It reports whether
// it is to be told.
func (s *story) claimOfSet(now *projections.Snapshot) bool {
	if s.about.Kind != "PersistentVolumeClaim" || s.component != "statefulset-controller" || s.reason != "SuccessfulCreate" {
		return true
	}
	made, _ := strings.CutSuffix(s.note, " success")
	_, name, _ := strings.Cut(made, " in StatefulSet ")
	set := now.Get(events.Key{Group: "apps", Resource: "statefulsets", Namespace: s.about.Namespace, Name: name})
	if !set.Exists() {
		return false
	}
	s.about = reference(set)
	return true
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
