package scheduler

import (
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// owners knows the selectors of what pods belong to: pods without constraints of
// their own are spread among those that services and owners select with them.
type owners struct {
	wanted    bool // a profile has default constraints
	services  map[string]map[string]labels.Set
	selectors map[owner]labels.Selector
	changes   map[string]uint64 // by namespace
	known     map[belonging]selected
}

type owner struct{ kind, namespace, name string }

// belonging is what a default selector depends on.
type belonging struct {
	crowd *crowd
	owner owner
}

type selected struct {
	by      labels.Selector // nil: nothing selects the pod
	changes uint64
}

// maxKnown bounds the selectors remembered.
const maxKnown = 4096

func newOwners() owners {
	return owners{
		services: map[string]map[string]labels.Set{}, selectors: map[owner]labels.Selector{},
		changes: map[string]uint64{}, known: map[belonging]selected{},
	}
}

func (o *owners) forget() { clear(o.known) }

// setService takes in a service's new version, nil when it is gone.
func (t *topology) setService(namespace, name string, s *corev1.Service) {
	if !t.owners.wanted {
		return
	}
	of := t.owners.services[namespace]
	var selector labels.Set
	if s != nil {
		selector = s.Spec.Selector
	}
	if labels.Equals(of[name], selector) {
		return
	}
	t.owners.changes[namespace]++
	if len(selector) == 0 {
		delete(of, name)
		return
	}
	if of == nil {
		of = map[string]labels.Set{}
		t.owners.services[namespace] = of
	}
	of[name] = selector
	t.begin()
	t.learn(labels.SelectorFromSet(selector))
}

// setOwner takes in the selector of a pods' owner, nil when it is gone.
func (t *topology) setOwner(of owner, selector labels.Selector) {
	if !t.owners.wanted {
		return
	}
	old := t.owners.selectors[of]
	if old != nil && selector != nil && old.String() == selector.String() {
		return
	}
	t.owners.changes[of.namespace]++
	if selector == nil {
		delete(t.owners.selectors, of)
		return
	}
	t.owners.selectors[of] = selector
	t.begin()
	t.learn(selector)
}

// setOwner takes in a new version of what takeOwner is about.
func (c *cluster) setOwner(k events.Key, o *events.Object) {
	t := &c.topology
	switch k.Resource {
	case "services":
		t.setService(k.Namespace, k.Name, value[*corev1.Service](o))
	case "namespaces":
		var of labels.Set
		if ns := value[*corev1.Namespace](o); ns != nil {
			of = ns.Labels
		}
		t.setNamespace(k.Name, of)
	case "replicationcontrollers":
		var selector labels.Selector
		if rc := value[*corev1.ReplicationController](o); rc != nil {
			selector = labels.SelectorFromSet(rc.Spec.Selector)
		}
		t.setOwner(owner{"ReplicationController", k.Namespace, k.Name}, selector)
	case "replicasets":
		if rs := value[*appsv1.ReplicaSet](o); rs != nil {
			t.setOwnerSelector(owner{"ReplicaSet", k.Namespace, k.Name}, rs.Spec.Selector)
		} else {
			t.setOwner(owner{"ReplicaSet", k.Namespace, k.Name}, nil)
		}
	case "statefulsets":
		if ss := value[*appsv1.StatefulSet](o); ss != nil {
			t.setOwnerSelector(owner{"StatefulSet", k.Namespace, k.Name}, ss.Spec.Selector)
		} else {
			t.setOwner(owner{"StatefulSet", k.Namespace, k.Name}, nil)
		}
	}
}

func (t *topology) setOwnerSelector(of owner, s *metav1.LabelSelector) {
	if selector, err := metav1.LabelSelectorAsSelector(s); err == nil {
		t.setOwner(of, selector)
	}
}

// takeOwners takes in a snapshot.
func (c *cluster) takeOwners(s *projections.Snapshot) {
	for _, r := range [][2]string{
		{"", "namespaces"}, {"", "services"}, {"", "replicationcontrollers"}, {"apps", "replicasets"}, {"apps", "statefulsets"},
	} {
		for o := range s.List(r[0], r[1], "") {
			c.setOwner(o.Key, o)
		}
	}
}

// defaultSelector selects the pods that a pod without constraints is spread among;
// nil for none. It is that of all services which select the pod, and of its owner.
func (t *topology) defaultSelector(pod *corev1.Pod, w *crowd) labels.Selector {
	if w == nil {
		return nil
	}
	b := belonging{crowd: w}
	if o := metav1.GetControllerOfNoCopy(pod); o != nil {
		switch o.APIVersion + "/" + o.Kind {
		case "apps/v1/ReplicaSet", "apps/v1/StatefulSet", "v1/ReplicationController":
			b.owner = owner{o.Kind, pod.Namespace, o.Name}
		}
	}
	changes := t.owners.changes[pod.Namespace]
	if known, ok := t.owners.known[b]; ok && known.changes == changes {
		return known.by
	}
	set := labels.Set{}
	services := t.owners.services[pod.Namespace]
	for _, name := range slices.Sorted(maps.Keys(services)) {
		if s := services[name]; s.AsSelectorPreValidated().Matches(w.labels) {
			maps.Copy(set, s)
		}
	}
	by := set.AsSelector()
	if of := t.owners.selectors[b.owner]; of != nil {
		requirements, some := of.Requirements()
		if some {
			by = by.Add(requirements...)
		}
	}
	if by.Empty() {
		by = nil
	}
	if len(t.owners.known) >= maxKnown {
		clear(t.owners.known)
	}
	t.owners.known[b] = selected{by, changes}
	return by
}
