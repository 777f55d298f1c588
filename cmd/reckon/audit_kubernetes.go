package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// kubernetesAudit writes decisions as Kubernetes' audit log has them.
func kubernetesAudit(level string) (auditPrinter, error) {
	l := auditv1.Level(level)
	if l != auditv1.LevelMetadata && l != auditv1.LevelRequestResponse {
		return nil, fmt.Errorf("--level %q is neither %s nor %s", level, auditv1.LevelMetadata, auditv1.LevelRequestResponse)
	}
	return func(w io.Writer, c projections.Change) error {
		data, err := json.Marshal(auditEvent(c, l))
		if err != nil {
			return err
		}
		_, err = w.Write(append(data, '\n'))
		return err
	}, nil
}

// auditEvent fills in what the log knows. A request that was refused never
// became an event, so what is here was allowed. Addresses and user agents of
// clients are not in the log.
func auditEvent(c projections.Change, level auditv1.Level) *auditv1.Event {
	e := c.Event
	verb, subresource, _ := strings.Cut(verbOf(e), "/")
	version, uid := identity(c)
	out := &auditv1.Event{
		TypeMeta: metav1.TypeMeta{Kind: "Event", APIVersion: auditv1.SchemeGroupVersion.String()},
		Level:    level, AuditID: types.UID(e.ID), Stage: auditv1.StageResponseComplete,
		RequestURI: uriOf(e, version, verb, subresource), Verb: verb,
		ObjectRef: &auditv1.ObjectReference{
			Resource: e.Key.Resource, Subresource: subresource, Namespace: e.Key.Namespace, Name: e.Key.Name,
			UID: uid, APIGroup: e.Key.Group, APIVersion: version, ResourceVersion: fmt.Sprint(e.Sequence),
		},
		ResponseStatus:           &metav1.Status{Code: codeOf(c), Status: metav1.StatusSuccess},
		RequestReceivedTimestamp: metav1.NewMicroTime(e.Time), StageTimestamp: metav1.NewMicroTime(e.Stored),
		Annotations: map[string]string{
			"authorization.k8s.io/decision": "allow",
			"reckon.dev/type":               e.Type,
			"reckon.dev/source":             e.Source,
			"reckon.dev/sequence":           fmt.Sprint(e.Sequence),
		},
	}
	out.User.Username = actorOf(e)
	if c.Void != nil {
		out.ResponseStatus.Status, out.ResponseStatus.Reason = metav1.StatusFailure, metav1.StatusReasonConflict
		out.ResponseStatus.Message = c.Void.Error()
	}
	for name, value := range map[string]string{"reason": e.Reason, "note": e.Note, "traceparent": e.Traceparent, "cause": causes(e)} {
		if value != "" {
			out.Annotations["reckon.dev/"+name] = value
		}
	}
	if level == auditv1.LevelRequestResponse && json.Valid(e.Data) {
		out.RequestObject = &runtime.Unknown{Raw: e.Data, ContentType: runtime.ContentTypeJSON}
		if c.New.Exists() {
			if data, err := events.EncodeObject(c.New.Value); err == nil {
				out.ResponseObject = &runtime.Unknown{Raw: data, ContentType: runtime.ContentTypeJSON}
			}
		}
	}
	return out
}

// identity gives the API version and the uid of the object that was decided on.
func identity(c projections.Change) (version string, uid types.UID) {
	for _, o := range []*events.Object{c.New, c.Old} {
		if o.Exists() {
			return o.Value.GetObjectKind().GroupVersionKind().Version, o.Meta().GetUID()
		}
	}
	return "", ""
}

// uriOf is the path of the API that the request went to.
func uriOf(e *events.Event, version, verb, subresource string) string {
	parts := []string{"/api"}
	if e.Key.Group != "" {
		parts = []string{"/apis", e.Key.Group}
	}
	if version == "" {
		version = "v1"
	}
	parts = append(parts, version)
	if e.Key.Namespace != "" {
		parts = append(parts, "namespaces", e.Key.Namespace)
	}
	parts = append(parts, e.Key.Resource)
	if verb != "create" || subresource != "" {
		parts = append(parts, e.Key.Name)
	}
	if subresource != "" {
		parts = append(parts, subresource)
	}
	return strings.Join(parts, "/")
}

func causes(e *events.Event) string {
	var out []string
	for _, c := range e.Cause {
		out = append(out, fmt.Sprint(c))
	}
	return strings.Join(out, ",")
}
