package static

import (
	"strings"

	v1 "k8s.io/api/core/v1"
)

const grace = 30 // seconds

// setDefaults fills in what the API server would.
func setDefaults(spec *v1.PodSpec) {
	set(&spec.RestartPolicy, v1.RestartPolicyAlways)
	set(&spec.DNSPolicy, v1.DNSClusterFirst)
	set(&spec.SchedulerName, v1.DefaultSchedulerName)
	if spec.TerminationGracePeriodSeconds == nil {
		n := int64(grace)
		spec.TerminationGracePeriodSeconds = &n
	}
	if spec.EnableServiceLinks == nil {
		yes := true
		spec.EnableServiceLinks = &yes
	}
	if spec.SecurityContext == nil {
		spec.SecurityContext = &v1.PodSecurityContext{}
	}
	for _, list := range [][]v1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			setContainer(&list[i], spec.HostNetwork)
		}
	}
	for i := range spec.Volumes {
		v := &spec.Volumes[i]
		if v.HostPath != nil && v.HostPath.Type == nil {
			unset := v1.HostPathUnset
			v.HostPath.Type = &unset
		}
		if v.VolumeSource == (v1.VolumeSource{}) {
			v.EmptyDir = &v1.EmptyDirVolumeSource{}
		}
		if d := v.DownwardAPI; d != nil {
			setMode(&d.DefaultMode)
			for _, item := range d.Items {
				setField(item.FieldRef)
			}
		}
		if p := v.Projected; p != nil {
			setMode(&p.DefaultMode)
		}
	}
}

func setContainer(c *v1.Container, hostNetwork bool) {
	if c.ImagePullPolicy == "" {
		c.ImagePullPolicy = v1.PullIfNotPresent
		if tag := c.Image[strings.LastIndex(c.Image, "/")+1:]; !strings.Contains(tag, "@") && (!strings.Contains(tag, ":") || strings.HasSuffix(tag, ":latest")) {
			c.ImagePullPolicy = v1.PullAlways
		}
	}
	set(&c.TerminationMessagePath, v1.TerminationMessagePathDefault)
	set(&c.TerminationMessagePolicy, v1.TerminationMessageReadFile)
	for i := range c.Ports {
		set(&c.Ports[i].Protocol, v1.ProtocolTCP)
		if hostNetwork {
			set(&c.Ports[i].HostPort, c.Ports[i].ContainerPort)
		}
	}
	for i := range c.Env {
		if from := c.Env[i].ValueFrom; from != nil {
			setField(from.FieldRef)
		}
	}
	for _, p := range []*v1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		if p == nil {
			continue
		}
		set(&p.TimeoutSeconds, 1)
		set(&p.PeriodSeconds, 10)
		set(&p.SuccessThreshold, 1)
		set(&p.FailureThreshold, 3)
		setHTTP(p.HTTPGet)
	}
	if l := c.Lifecycle; l != nil {
		for _, h := range []*v1.LifecycleHandler{l.PostStart, l.PreStop} {
			if h != nil {
				setHTTP(h.HTTPGet)
			}
		}
	}
	for name, q := range c.Resources.Limits {
		if _, ok := c.Resources.Requests[name]; !ok {
			if c.Resources.Requests == nil {
				c.Resources.Requests = v1.ResourceList{}
			}
			c.Resources.Requests[name] = q
		}
	}
}

func setHTTP(a *v1.HTTPGetAction) {
	if a != nil {
		set(&a.Path, "/")
		set(&a.Scheme, v1.URISchemeHTTP)
	}
}

func setField(f *v1.ObjectFieldSelector) {
	if f != nil {
		set(&f.APIVersion, "v1")
	}
}

func setMode(mode **int32) {
	if *mode == nil {
		m := int32(v1.DownwardAPIVolumeSourceDefaultMode)
		*mode = &m
	}
}

// set gives a field a value that has none.
func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
