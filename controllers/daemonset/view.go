package daemonset

import (
	"cmp"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// view is what a pass over nodes and pods finds.
type view struct {
	set        *appsv1.DaemonSet
	hash       string
	generation string // of the template; "": not known
	now        time.Time

	tolerations []corev1.Toleration // of its pods
	all         []*events.Object    // its pods
	nodes       []site              // by name
	next        time.Duration       // until something changes by itself; 0: nothing does
}

// site is one node to the set. It may be gone.
type site struct {
	name string
	runs bool             // a pod is to run there
	stay bool             // one that runs may go on
	gone bool             // there is no such node
	pods []*events.Object // the one that counts first
}

// look finds what each node has and is to have.
func look(s *projections.Snapshot, ds *appsv1.DaemonSet, current *appsv1.ControllerRevision, pods []*events.Object, now time.Time) *view {
	v := &view{set: ds, hash: hashOf(current), generation: ds.Annotations[appsv1.DeprecatedTemplateGeneration], now: now, all: pods}
	on := map[string][]*events.Object{}
	for _, o := range pods {
		pod := o.Value.(*corev1.Pod)
		if pod.DeletionTimestamp != nil && controllers.Finished(pod) {
			continue // nothing more is to be done about it
		}
		if node := target(pod); node != "" {
			on[node] = append(on[node], o)
		}
	}
	fits := newFits(ds)
	v.tolerations = fits.tolerations
	for node := range projections.List[*corev1.Node](s, "", "nodes", "") {
		runs, stay := fits.node(node)
		here := on[node.Name]
		delete(on, node.Name)
		if runs || len(here) > 0 {
			v.nodes = append(v.nodes, site{name: node.Name, runs: runs, stay: stay, pods: here})
		}
	}
	for name, here := range on {
		v.nodes = append(v.nodes, site{name: name, gone: true, pods: here})
	}
	slices.SortFunc(v.nodes, func(a, b site) int { return strings.Compare(a.name, b.name) })
	for i := range v.nodes {
		slices.SortFunc(v.nodes[i].pods, order)
	}
	return v
}

// order puts the pod that counts first: bound ones, then the oldest.
func order(a, b *events.Object) int {
	x, y := a.Value.(*corev1.Pod), b.Value.(*corev1.Pod)
	if (x.Spec.NodeName == "") != (y.Spec.NodeName == "") {
		if x.Spec.NodeName != "" {
			return -1
		}
		return 1
	}
	return cmp.Or(x.CreationTimestamp.Compare(y.CreationTimestamp.Time), strings.Compare(x.Name, y.Name))
}

// again asks to look again after that time.
func (v *view) again(d time.Duration) {
	if v.next == 0 || d < v.next {
		v.next = d
	}
}

// updated reports a pod of the present template.
func (v *view) updated(pod *corev1.Pod) bool {
	return pod.Labels[appsv1.DefaultDaemonSetUniqueLabelKey] == v.hash ||
		v.generation != "" && pod.Labels[generationLabel] == v.generation
}

// available reports a pod that has been ready for minReadySeconds.
func (v *view) available(pod *corev1.Pod) bool {
	since := controllers.ReadySince(pod)
	if since.IsZero() {
		return false
	}
	left := since.Add(time.Duration(v.set.Spec.MinReadySeconds) * time.Second).Sub(v.now)
	if v.set.Spec.MinReadySeconds == 0 || left <= 0 {
		return true
	}
	v.again(left)
	return false
}

// target is the node that a pod is for, "" if that can't be told.
func target(pod *corev1.Pod) string {
	if pod.Spec.NodeName != "" {
		return pod.Spec.NodeName
	}
	a := pod.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return ""
	}
	for _, term := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		for _, f := range term.MatchFields {
			if f.Key == nameField && f.Operator == corev1.NodeSelectorOpIn && len(f.Values) == 1 {
				return f.Values[0]
			}
		}
	}
	return ""
}

func hashOf(r *appsv1.ControllerRevision) string {
	if h := r.Labels[appsv1.DefaultDaemonSetUniqueLabelKey]; h != "" {
		return h
	}
	return r.Name
}
