package namespace

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
)

// newStatus tells what holds the deletion up.
func newStatus(ns *corev1.Namespace, c contents, now time.Time) corev1.NamespaceStatus {
	status := *ns.Status.DeepCopy()
	status.Phase = corev1.NamespaceTerminating
	at := metav1.NewTime(now.Truncate(time.Second))
	set := func(t corev1.NamespaceConditionType, holds bool, reason, message string) {
		cond := corev1.NamespaceCondition{Type: t, Status: corev1.ConditionFalse, Reason: reason, Message: message, LastTransitionTime: at}
		if holds {
			cond.Status = corev1.ConditionTrue
		}
		for i := range status.Conditions {
			if was := &status.Conditions[i]; was.Type == t {
				if was.Status == cond.Status {
					cond.LastTransitionTime = was.LastTransitionTime
				}
				*was = cond
				return
			}
		}
		status.Conditions = append(status.Conditions, cond)
	}
	if n := len(c.unanswered); n > 0 {
		set(corev1.NamespaceDeletionDiscoveryFailure, true, "DiscoveryFailed", fmt.Sprintf("Discovery failed for some groups, %d failing: unable to retrieve the complete list of server APIs: %s", n, stale(c.unanswered)))
	} else {
		set(corev1.NamespaceDeletionDiscoveryFailure, false, "ResourcesDiscovered", "All resources successfully discovered")
	}
	set(corev1.NamespaceDeletionGVParsingFailure, false, "ParsedGroupVersions", "All legacy kube types successfully parsed")
	if c.failure != nil {
		set(corev1.NamespaceDeletionContentFailure, true, "ContentDeletionFailed", "Failed to delete all resource types, 1 remaining: "+said(c.failure))
	} else {
		set(corev1.NamespaceDeletionContentFailure, false, "ContentDeleted", "All content successfully deleted, may be waiting on finalization")
	}
	if len(c.resources) > 0 {
		set(corev1.NamespaceContentRemaining, true, "SomeResourcesRemain", "Some resources are remaining: "+counted(c.resources, "%s has %d resource instances"))
	} else {
		set(corev1.NamespaceContentRemaining, false, "ContentRemoved", "All content successfully removed")
	}
	if len(c.finalizers) > 0 {
		set(corev1.NamespaceFinalizersRemaining, true, "SomeFinalizersRemain", "Some content in the namespace has finalizers remaining: "+counted(c.finalizers, "%s in %d resource instances"))
	} else {
		set(corev1.NamespaceFinalizersRemaining, false, "ContentHasNoFinalizers", "All content-preserving finalizers finished")
	}
	return status
}

// differs reports a status worth writing. While objects are being deleted their
// counts change by the moment, and nobody waits for one.
func differs(was, is *corev1.NamespaceStatus, deleting bool) bool {
	if !deleting || was.Phase != is.Phase || len(was.Conditions) != len(is.Conditions) {
		return !apiequality.Semantic.DeepEqual(was, is)
	}
	for i := range is.Conditions {
		a, b := &was.Conditions[i], &is.Conditions[i]
		if a.Type != b.Type || a.Status != b.Status || a.Reason != b.Reason {
			return true
		}
	}
	return false
}

func counted(n map[string]int, format string) string {
	parts := make([]string, 0, len(n))
	for _, k := range slices.Sorted(maps.Keys(n)) {
		parts = append(parts, fmt.Sprintf(format, k, n[k]))
	}
	return strings.Join(parts, ", ")
}

func stale(groupVersions []string) string {
	parts := make([]string, 0, len(groupVersions))
	for _, gv := range groupVersions {
		parts = append(parts, fmt.Sprintf("%s: stale GroupVersion discovery: %s", gv, gv))
	}
	return strings.Join(parts, ", ")
}

// said is what the API said, without what was asked of it.
func said(err error) string {
	var refused *controllers.APIError
	if errors.As(err, &refused) {
		return refused.Status.Message
	}
	return err.Error()
}
