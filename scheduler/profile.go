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

// decide gives the plugins by scheduler name, and those of the first profile.
func (c *Config) decide() (map[string]*plugins, *plugins) {
	if c == nil {
		p := known(leastAllocated)
		return map[string]*plugins{corev1.DefaultSchedulerName: &p}, &p
	}
	out := map[string]*plugins{}
	for i := range c.profiles {
		out[c.profiles[i].name] = &c.profiles[i].plugins
	}
	return out, &c.profiles[0].plugins
}

// pluginsFor are those that decide about a pod: of the first profile when none
// has its scheduler name, as when the past is tried with other profiles.
func (c *cluster) pluginsFor(pod *corev1.Pod) *plugins {
	if p := c.profiles[schedulerName(pod)]; p != nil {
		return p
	}
	return c.usual
}
