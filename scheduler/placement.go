package scheduler

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	corev1 "k8s.io/api/core/v1"
)

// placement is the event that binds a pod to a node.
func (l *loop) placement(p *pending, n *node) *events.Event {
	now := l.options.Clock.Now()
	e := l.event(p, now, events.Scheduled)
	e.Reason = "Scheduled"
	e.Note = "Successfully assigned " + p.pod.Namespace + "/" + p.pod.Name + " to " + n.name
	e.Why = why(l.cluster, p.class, n)
	b := append(make([]byte, 0, 256), `{"spec":{"nodeName":`...)
	b = strconv.AppendQuote(b, n.name) // a node's name is a DNS name
	b = append(b, `},"status":{`...)
	if p.pod.Status.NominatedNodeName != "" || p.kept != "" {
		b = append(b, `"nominatedNodeName":null,`...)
	}
	b = append(b, `"conditions":[`...)
	b = appendCondition(b, p.pod, now, `"status":"True"`)
	e.Data = append(b, `]}}`...)
	return e
}

// refused is the event that says why a pod has no node.
func (l *loop) refused(p *pending, message string) *events.Event {
	now := l.options.Clock.Now()
	e := l.event(p, now, events.Unschedulable)
	e.Reason = "FailedScheduling"
	e.Note = message
	e.Why = why(l.cluster, p.class, nil)
	quoted, err := json.Marshal(message)
	if err != nil {
		quoted = []byte(`""`) // a string always encodes
	}
	b := append(make([]byte, 0, 512), `{"status":{`...)
	switch {
	case p.kept != "":
		b = append(b, `"nominatedNodeName":`...)
		b = append(strconv.AppendQuote(b, p.kept), ',')
	case p.pod.Status.NominatedNodeName != "":
		b = append(b, `"nominatedNodeName":null,`...)
	}
	b = append(b, `"conditions":[`...)
	b = appendCondition(b, p.pod, now, `"status":"False","reason":"`+corev1.PodReasonUnschedulable+`","message":`+string(quoted))
	e.Data = append(b, `]}}`...)
	return e
}

// event answers the newest event about the pod and, if it had been refused, the
// newest one that can have made room for it.
func (l *loop) event(p *pending, now time.Time, typ string) *events.Event {
	cause := []uint64{p.object.Version}
	if p.reasons != "" && l.roomy > p.object.Version {
		cause = append(cause, l.roomy)
	}
	return &events.Event{
		Prefix: events.PrefixDecision, Key: p.object.Key, ID: bus.NewID(),
		Source: Component, Type: typ, Time: now, Traceparent: p.trace,
		Actor: "system:kube-scheduler", Cause: cause,
		Epoch: l.lead.Epoch, Component: l.lead.Component,
		ContentType: events.ContentPatch,
	}
}

// appendCondition writes the condition PodScheduled. Its transition time stays
// when the status does.
func appendCondition(b []byte, pod *corev1.Pod, now time.Time, rest string) []byte {
	for i := range pod.Status.Conditions {
		c := &pod.Status.Conditions[i]
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && rest[:len(`"status":"F`)] == `"status":"F` {
			now = c.LastTransitionTime.Time
		}
	}
	b = append(b, `{"type":"PodScheduled",`...)
	b = append(b, rest...)
	if pod.Generation > 0 {
		b = append(b, `,"observedGeneration":`...)
		b = strconv.AppendInt(b, pod.Generation, 10)
	}
	b = append(b, `,"lastTransitionTime":"`...)
	b = now.UTC().AppendFormat(b, time.RFC3339)
	return append(b, `"}`...)
}
