package pod

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	v1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/downward"
	"github.com/reckon-project/reckon/events"
)

// Objects are the cluster's objects that a pod may refer to, as the feed gave them.
type Objects interface {
	ConfigMap(namespace, name string) (*v1.ConfigMap, bool)
	Secret(namespace, name string) (*v1.Secret, bool)
	Services(namespace string) []*v1.Service
}

// environment is an ordered set of variables: the last value given to a name counts.
type environment struct {
	names  []string
	values map[string]string
}

func (e *environment) set(name, value string) {
	if _, ok := e.values[name]; !ok {
		e.names = append(e.names, name)
	}
	e.values[name] = value
}

func (e *environment) lookup(name string) (string, bool) {
	v, ok := e.values[name]
	return v, ok
}

func (e *environment) list() []*cri.KeyValue {
	out := make([]*cri.KeyValue, 0, len(e.names))
	for _, n := range e.names {
		out = append(out, &cri.KeyValue{Key: n, Value: []byte(e.values[n])})
	}
	return out
}

// makeEnvironment gives a container's variables: services, then envFrom, then
// env, each overriding those before. pod must have its addresses in its status.
func makeEnvironment(pod *v1.Pod, c *v1.Container, objects Objects, allocatable v1.ResourceList) (*environment, error) {
	e := &environment{values: map[string]string{}}
	addServices(e, pod, objects)
	for _, from := range c.EnvFrom {
		if err := addFrom(e, pod, from, objects); err != nil {
			return nil, err
		}
	}
	for _, v := range c.Env {
		value, ok, err := variable(e, pod, c, v, objects, allocatable)
		if err != nil {
			return nil, err
		}
		if ok {
			e.set(v.Name, value)
		}
	}
	return e, nil
}

func addFrom(e *environment, pod *v1.Pod, from v1.EnvFromSource, objects Objects) error {
	values := map[string]string{}
	switch {
	case from.ConfigMapRef != nil:
		ref := from.ConfigMapRef
		cm, ok := objects.ConfigMap(pod.Namespace, ref.Name)
		if !ok && !isTrue(ref.Optional) {
			return fmt.Errorf("configmap %q not found: %w", ref.Name, events.ErrNotFound)
		}
		if ok {
			values = cm.Data
		}
	case from.SecretRef != nil:
		ref := from.SecretRef
		secret, ok := objects.Secret(pod.Namespace, ref.Name)
		if !ok && !isTrue(ref.Optional) {
			return fmt.Errorf("secret %q not found: %w", ref.Name, events.ErrNotFound)
		}
		if ok {
			for k, v := range secret.Data {
				values[k] = string(v)
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(values)) {
		e.set(from.Prefix+k, values[k])
	}
	return nil
}

func variable(e *environment, pod *v1.Pod, c *v1.Container, v v1.EnvVar, objects Objects, allocatable v1.ResourceList) (string, bool, error) {
	from := v.ValueFrom
	switch {
	case from == nil:
		return Expand(v.Value, e.lookup), true, nil
	case from.FieldRef != nil:
		value, err := downward.Field(pod, from.FieldRef.FieldPath)
		return value, true, err
	case from.ResourceFieldRef != nil:
		value, err := downward.ResourceField(pod, c.Name, from.ResourceFieldRef, allocatable)
		return value, true, err
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		cm, ok := objects.ConfigMap(pod.Namespace, ref.Name)
		if !ok {
			return missing(ref.Optional, "configmap %q not found", ref.Name)
		}
		if value, ok := cm.Data[ref.Key]; ok {
			return value, true, nil
		}
		return missing(ref.Optional, "couldn't find key %v in ConfigMap %v/%v", ref.Key, pod.Namespace, ref.Name)
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		secret, ok := objects.Secret(pod.Namespace, ref.Name)
		if !ok {
			return missing(ref.Optional, "secret %q not found", ref.Name)
		}
		if value, ok := secret.Data[ref.Key]; ok {
			return string(value), true, nil
		}
		return missing(ref.Optional, "couldn't find key %v in Secret %v/%v", ref.Key, pod.Namespace, ref.Name)
	}
	return "", false, fmt.Errorf("%w: variable %s has a source that isn't supported", events.ErrInvalid, v.Name)
}

func missing(optional *bool, format string, args ...any) (string, bool, error) {
	if isTrue(optional) {
		return "", false, nil
	}
	return "", false, fmt.Errorf(format+": %w", append(args, events.ErrNotFound)...)
}

// addServices adds the variables that tell of services: those of the pod's
// namespace when it wants them, and always the API's own.
func addServices(e *environment, pod *v1.Pod, objects Objects) {
	for _, s := range objects.Services(apiNamespace) {
		if s.Name == "kubernetes" {
			addService(e, s)
		}
	}
	if pod.Spec.EnableServiceLinks != nil && !*pod.Spec.EnableServiceLinks {
		return
	}
	for _, s := range objects.Services(pod.Namespace) {
		addService(e, s)
	}
}

const apiNamespace = "default"

func addService(e *environment, s *v1.Service) {
	ip := s.Spec.ClusterIP
	if ip == "" || ip == v1.ClusterIPNone || len(s.Spec.Ports) == 0 {
		return
	}
	name := variableName(s.Name)
	port := func(p v1.ServicePort) string { return strconv.Itoa(int(p.Port)) }
	first := s.Spec.Ports[0]
	e.set(name+"_SERVICE_HOST", ip)
	e.set(name+"_SERVICE_PORT", port(first))
	for _, p := range s.Spec.Ports {
		if p.Name != "" {
			e.set(name+"_SERVICE_PORT_"+variableName(p.Name), port(p))
		}
	}
	address := func(p v1.ServicePort) string {
		return strings.ToLower(string(p.Protocol)) + "://" + net.JoinHostPort(ip, port(p))
	}
	e.set(name+"_PORT", address(first))
	for _, p := range s.Spec.Ports {
		prefix := name + "_PORT_" + port(p) + "_" + strings.ToUpper(string(p.Protocol))
		e.set(prefix, address(p))
		e.set(prefix+"_PROTO", strings.ToLower(string(p.Protocol)))
		e.set(prefix+"_PORT", port(p))
		e.set(prefix+"_ADDR", ip)
	}
}

func variableName(s string) string {
	return strings.ToUpper(strings.ReplaceAll(s, "-", "_"))
}

func isTrue(b *bool) bool { return b != nil && *b }
