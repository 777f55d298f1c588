package scheduler

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
)

// profile is what decides about the pods of one scheduler name.
type profile struct {
	name    string
	plugins plugins
}

// schedulerName is that of the profile a pod asks for.
func schedulerName(pod *corev1.Pod) string {
	return cmp.Or(pod.Spec.SchedulerName, corev1.DefaultSchedulerName)
}

// list gives all profiles.
func (c *Config) list() []profile {
	if c == nil {
		return []profile{{corev1.DefaultSchedulerName, known(usualSettings())}}
	}
	return c.profiles
}

// pluginsFor are those that decide about a pod: of the first profile when none
// has its scheduler name, as when the past is tried with other profiles.
func (c *cluster) pluginsFor(pod *corev1.Pod) *plugins {
	if p := c.profiles[schedulerName(pod)]; p != nil {
		return p
	}
	return c.usual
}
