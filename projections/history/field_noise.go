package history

import (
	"fmt"
	"strings"
)

const lastApplied = "metadata.annotations[kubectl.kubernetes.io/last-applied-configuration]"

// noise: bookkeeping of the API server, controllers and agents that follows from
// what else is shown.
func noise(path string) bool {
	switch path {
	case lastApplied, "metadata.generation", "metadata.uid", "metadata.creationTimestamp", "metadata.deletionGracePeriodSeconds",
		"apiVersion", "kind", "status.podIPs", "status.hostIPs", "status.hostIP", "status.qosClass", "status.startTime", "status.resources",
		"status.images", "status.volumesInUse", "status.collisionCount",
		"status.availableReplicas", "status.unavailableReplicas", "status.terminatingReplicas", "status.fullyLabeledReplicas",
		"status.conditions[ContainersReady]", "status.conditions[PodReadyToStartContainers]", "status.conditions[Initialized]":
		return true
	}
	if strings.HasPrefix(path, "metadata.annotations[reckon.dev/") ||
		strings.HasPrefix(path, "metadata.annotations[deployment.kubernetes.io/") && !strings.HasSuffix(path, "/revision]") {
		return true
	}
	last := lastPart(path)
	switch last {
	case "observedGeneration", "lastTransitionTime", "lastUpdateTime", "lastHeartbeatTime", "lastProbeTime":
		return true
	}
	if strings.HasPrefix(path, "status.conditions[") {
		return last == "message" || last == "reason" && !strings.HasPrefix(path, "status.conditions[PodScheduled]")
	}
	if strings.Contains(path, "ontainerStatuses[") {
		switch last {
		case "name", "ready", "containerID", "imageID", "image", "started", "allocatedResources", "resources", "volumeMounts", "user", "allocatedResourcesStatus":
			return true
		}
		return strings.Contains(path, "].resources") || strings.Contains(path, "].user")
	}
	return false
}

// summaries say in a few words what a status holds as a tree.
var summaries = map[string]func(any) string{
	"state":     containerState,
	"lastState": containerState,
}

// containerState is "running", "waiting (ImagePullBackOff)" or "terminated
// (OOMKilled, exit code 137)"; "" without one.
func containerState(v any) string {
	state, ok := v.(map[string]any)
	if !ok {
		if s, ok := v.(string); ok { // another kind's status.state
			return s
		}
		return ""
	}
	if _, ok := state["running"]; ok {
		return "running"
	}
	if w, ok := state["waiting"].(map[string]any); ok {
		return bracketed("waiting", w["reason"])
	}
	if t, ok := state["terminated"].(map[string]any); ok {
		exit := any(fmt.Sprintf("exit code %v", t["exitCode"]))
		if s := t["signal"]; s != nil && fmt.Sprint(s) != "0" {
			exit = fmt.Sprintf("signal %v", s)
		}
		return bracketed("terminated", t["reason"], exit)
	}
	return ""
}

func bracketed(word string, details ...any) string {
	var parts []string
	for _, d := range details {
		if s := fmt.Sprint(d); d != nil && s != "" {
			parts = append(parts, s)
		}
	}
	if len(parts) == 0 {
		return word
	}
	return word + " (" + strings.Join(parts, ", ") + ")"
}
