package scheduler

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	configv1 "k8s.io/kube-scheduler/config/v1"
	"pgregory.net/rapid"
)

// reference is a scheduler of the plugins that look at one node only, written
// down plainly from Kubernetes' documentation: floating point, no index, nothing kept.
type reference struct {
	nodes    map[string]*corev1.Node
	bound    map[string][]*corev1.Pod
	settings settings
}

// amounts are a pod's requests in plain numbers; unsaid stands in for cpu and memory.
func amounts(pod *corev1.Pod, unsaid bool) map[corev1.ResourceName]float64 {
	of := func(c *corev1.Container) map[corev1.ResourceName]float64 {
		out := map[corev1.ResourceName]float64{}
		for name, q := range c.Resources.Requests {
			out[name] = q.AsApproximateFloat64()
		}
		if _, ok := out["cpu"]; !ok && unsaid {
			out["cpu"] = 0.1
		}
		if _, ok := out["memory"]; !ok && unsaid {
			out["memory"] = 200 << 20
		}
		return out
	}
	add := func(to, what map[corev1.ResourceName]float64) {
		for name, v := range what {
			to[name] += v
		}
	}
	running, sidecars, most := map[corev1.ResourceName]float64{}, map[corev1.ResourceName]float64{}, map[corev1.ResourceName]float64{}
	for i := range pod.Spec.Containers {
		add(running, of(&pod.Spec.Containers[i]))
	}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		now := maps.Clone(sidecars)
		add(now, of(c))
		for name, v := range now {
			most[name] = max(most[name], v)
		}
		if c.RestartPolicy != nil {
			add(sidecars, of(c))
		}
	}
	add(running, sidecars)
	for name, v := range most {
		running[name] = max(running[name], v)
	}
	if pod.Spec.Resources != nil {
		for name, q := range pod.Spec.Resources.Requests {
			running[name] = q.AsApproximateFloat64()
		}
	}
	for name, q := range pod.Spec.Overhead {
		running[name] += q.AsApproximateFloat64()
	}
	return running
}

func (r *reference) used(node string, unsaid bool) map[corev1.ResourceName]float64 {
	out := map[corev1.ResourceName]float64{}
	for _, p := range r.bound[node] {
		for name, v := range amounts(p, unsaid) {
			out[name] += v
		}
	}
	return out
}

func matchesTerm(n *corev1.Node, t corev1.NodeSelectorTerm) bool {
	if len(t.MatchExpressions)+len(t.MatchFields) == 0 {
		return false
	}
	one := func(q corev1.NodeSelectorRequirement, value string, ok bool) bool {
		var x, y int
		switch q.Operator {
		case corev1.NodeSelectorOpIn:
			return ok && slices.Contains(q.Values, value)
		case corev1.NodeSelectorOpNotIn:
			return !ok || !slices.Contains(q.Values, value)
		case corev1.NodeSelectorOpExists:
			return ok
		case corev1.NodeSelectorOpDoesNotExist:
			return !ok
		}
		if a, err := fmt.Sscan(value, &x); a != 1 || err != nil || !ok {
			return false
		}
		fmt.Sscan(q.Values[0], &y)
		return q.Operator == corev1.NodeSelectorOpGt && x > y || q.Operator == corev1.NodeSelectorOpLt && x < y
	}
	for _, q := range t.MatchExpressions {
		if value, ok := n.Labels[q.Key]; !one(q, value, ok) {
			return false
		}
	}
	for _, q := range t.MatchFields {
		if !one(q, n.Name, true) {
			return false
		}
	}
	return true
}

func toleratedBy(pod *corev1.Pod, t corev1.Taint) bool {
	return slices.ContainsFunc(pod.Spec.Tolerations, func(o corev1.Toleration) bool {
		return (o.Effect == "" || o.Effect == t.Effect) && (o.Key == "" && o.Operator == corev1.TolerationOpExists || o.Key == t.Key) &&
			(o.Operator == corev1.TolerationOpExists || o.Value == t.Value)
	})
}

// refuses names the filter that refuses a node first, "" if it fits.
func (r *reference) refuses(pod *corev1.Pod, n *corev1.Node) string {
	if n.Spec.Unschedulable && !toleratedBy(pod, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}) {
		return "NodeUnschedulable"
	}
	for _, t := range n.Spec.Taints {
		if t.Effect != corev1.TaintEffectPreferNoSchedule && !toleratedBy(pod, t) {
			return "TaintToleration"
		}
	}
	for key, value := range pod.Spec.NodeSelector {
		if n.Labels[key] != value {
			return "NodeAffinity"
		}
	}
	if a := pod.Spec.Affinity; a != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil &&
		!slices.ContainsFunc(a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms, func(t corev1.NodeSelectorTerm) bool { return matchesTerm(n, t) }) {
		return "NodeAffinity"
	}
	ports := func(p *corev1.Pod) (out []corev1.ContainerPort) {
		for _, c := range p.Spec.InitContainers {
			if c.RestartPolicy != nil {
				out = append(out, c.Ports...)
			}
		}
		for _, c := range p.Spec.Containers {
			out = append(out, c.Ports...)
		}
		return out
	}
	everywhere := func(ip string) bool { return ip == "" || ip == "0.0.0.0" }
	for _, other := range r.bound[n.Name] {
		for _, a := range ports(pod) {
			for _, b := range ports(other) {
				if a.HostPort == b.HostPort && a.Protocol == b.Protocol && (a.HostIP == b.HostIP || everywhere(a.HostIP) || everywhere(b.HostIP)) {
					return "NodePorts"
				}
			}
		}
	}
	used := r.used(n.Name, false)
	if q := n.Status.Allocatable[corev1.ResourcePods]; int64(len(r.bound[n.Name])) >= q.Value() {
		return "NodeResourcesFit"
	}
	for name, v := range amounts(pod, false) {
		domain, _, slash := strings.Cut(string(name), "/")
		if slash && (r.settings.ignored[string(name)] || r.settings.ignoredGroups[domain]) {
			continue
		}
		if q := n.Status.Allocatable[name]; v > 0 && v+used[name] > q.AsApproximateFloat64()+1e-9 {
			return "NodeResourcesFit"
		}
	}
	return ""
}

// scores are 0 to 100, by plugin.
func (r *reference) scores(pod *corev1.Pod, n *corev1.Node) map[string]float64 {
	out := map[string]float64{}
	bad := 0
	for _, t := range n.Spec.Taints {
		if t.Effect == corev1.TaintEffectPreferNoSchedule && !toleratedBy(pod, t) {
			bad++
		}
	}
	out["TaintToleration"] = 100 / float64(1+bad)
	if a := pod.Spec.Affinity; a != nil {
		var got, of float64
		for _, t := range a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
			of += float64(t.Weight)
			if matchesTerm(n, t.Preference) {
				got += float64(t.Weight)
			}
		}
		if of > 0 {
			out["NodeAffinity"] = 100 * got / of
		}
	}
	share := func(name corev1.ResourceName, unsaid, with bool) (float64, bool) {
		q := n.Status.Allocatable[name]
		of, asked, used := q.AsApproximateFloat64(), amounts(pod, unsaid)[name], r.used(n.Name, unsaid)[name]
		if with {
			used += asked
		}
		plain := name == "cpu" || name == "memory" || name == "ephemeral-storage"
		if of == 0 || !plain && asked == 0 {
			return 0, false
		}
		return min(used/of, 1), true
	}
	var sum, weights float64
	for _, s := range r.settings.fit.resources {
		x, ok := share(s.name, true, true)
		if !ok {
			continue
		}
		score := 100 * (1 - x)
		switch r.settings.fit.strategy {
		case configv1.MostAllocated:
			score = 100 * x
		case configv1.RequestedToCapacityRatio:
			if score = curve(r.settings.fit.shape, 100*x); score < 0.0005 {
				continue
			}
		}
		sum, weights = sum+float64(s.weight)*score, weights+float64(s.weight)
	}
	if weights > 0 {
		out["NodeResourcesFit"] = sum / weights
	}
	asks := false
	deviates := func(with bool) float64 {
		var shares []float64
		for _, s := range r.settings.balanced {
			asks = asks || amounts(pod, false)[s.name] > 0
			if x, ok := share(s.name, false, with); ok {
				shares = append(shares, x)
			}
		}
		var mean, squares float64
		for _, x := range shares {
			mean += x / float64(len(shares))
		}
		for _, x := range shares {
			squares += (x - mean) * (x - mean) / float64(len(shares))
		}
		return math.Sqrt(squares)
	}
	if before, after := deviates(false), deviates(true); asks {
		out["NodeResourcesBalancedAllocation"] = 50 + (50+100*(before-after))/2
	}
	var bytes float64
	for _, c := range append(slices.Clone(pod.Spec.InitContainers), pod.Spec.Containers...) {
		on, size := 0, 0.0
		for _, other := range r.nodes {
			for _, i := range other.Status.Images {
				if slices.Contains(i.Names, c.Image) {
					if on++; other == n {
						size = float64(i.SizeBytes)
					}
				}
			}
		}
		bytes += size * float64(on) / float64(len(r.nodes))
	}
	few, most := float64(23<<20), float64(1000<<20)*float64(len(pod.Spec.Containers)+len(pod.Spec.InitContainers))
	out["ImageLocality"] = 100 * (min(max(bytes, few), most) - few) / (most - few)
	return out
}

func curve(shape []configv1.UtilizationShapePoint, x float64) float64 {
	for i, p := range shape {
		if x <= float64(p.Utilization) {
			if i == 0 {
				return 10 * float64(p.Score)
			}
			a := shape[i-1]
			return 10 * (float64(a.Score) + float64(p.Score-a.Score)*(x-float64(a.Utilization))/float64(p.Utilization-a.Utilization))
		}
	}
	return 10 * float64(shape[len(shape)-1].Score)
}

// TestAgreesWithTheReference places random pods on random nodes: each node is to both
// schedulers the same, and the one chosen is best within what rounding can do.
func TestAgreesWithTheReference(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := drawSettings(r)
		p := known(s)
		c := newCluster(&Config{profiles: []profile{{corev1.DefaultSchedulerName, p}}})
		ref := &reference{nodes: map[string]*corev1.Node{}, bound: map[string][]*corev1.Pod{}, settings: s}
		for i := range rapid.IntRange(1, 6).Draw(r, "nodes") {
			n := drawNode(r, fmt.Sprint("n", i))
			ref.nodes[n.Name] = n
			c.setNode(n.Name, n)
		}
		for i := range rapid.IntRange(1, 12).Draw(r, "pods") {
			pod := drawPod(r, fmt.Sprint("p", i))
			cl := c.classOf(pod)
			chosen := schedule(c, cl)
			best, feasible := 0.0, 0
			totals := map[string]float64{}
			for name, n := range ref.nodes {
				why := ref.refuses(pod, n)
				mine := c.byName[name]
				f := slices.IndexFunc(cl.plugins.filters, func(f filter) bool { return f.Refuses(cl, mine) })
				got := ""
				if f >= 0 {
					got = cl.plugins.filters[f].Name()
				}
				if got != why {
					r.Fatalf("%s on %s: refused by %q, reference %q", pod.Name, name, got, why)
				}
				if why != "" {
					continue
				}
				feasible++
				want := ref.scores(pod, n)
				for _, s := range cl.plugins.scores {
					if w, ok := want[s.Name()]; ok || s.Name() == "NodeAffinity" || s.Name() == "NodeResourcesFit" || s.Name() == "NodeResourcesBalancedAllocation" {
						if got := float64(s.Score(c, cl, mine)) * 100 / best100; math.Abs(got-w) > 0.1 {
							r.Fatalf("%s on %s: %s scores %.3f, reference %.3f", pod.Name, name, s.Name(), got, w)
						}
						totals[name] += float64(s.weight) * w
					}
				}
				best = max(best, totals[name])
			}
			if (chosen == nil) != (feasible == 0) || cl.only == nil && cl.feasible != feasible {
				r.Fatalf("%s: chosen %v, %d fit, reference %d", pod.Name, chosen, cl.feasible, feasible)
			}
			if chosen == nil {
				continue
			}
			if totals[chosen.name] < best-1 {
				r.Fatalf("%s went to %s (%.2f), the best has %.2f", pod.Name, chosen.name, totals[chosen.name], best)
			}
			pod = pod.DeepCopy()
			pod.Spec.NodeName = chosen.name
			c.setPod(pod)
			ref.bound[chosen.name] = append(ref.bound[chosen.name], pod)
		}
	})
}

const best100 = float64(best)

func drawSettings(r *rapid.T) settings {
	s := usualSettings()
	lists := [][]configv1.ResourceSpec{nil, {{Name: "cpu", Weight: 3}, {Name: "memory", Weight: 1}}, {{Name: "cpu"}, {Name: "memory"}, {Name: "x.io/gpu", Weight: 5}, {Name: "ephemeral-storage"}}}
	strategy := &configv1.ScoringStrategy{
		Type:      rapid.SampledFrom([]configv1.ScoringStrategyType{configv1.LeastAllocated, configv1.MostAllocated, configv1.RequestedToCapacityRatio}).Draw(r, "strategy"),
		Resources: rapid.SampledFrom(lists).Draw(r, "scored"),
		RequestedToCapacityRatio: &configv1.RequestedToCapacityRatioParam{Shape: []configv1.UtilizationShapePoint{
			{Utilization: 10, Score: 2}, {Utilization: 70, Score: 10}, {Utilization: 100, Score: 1}}},
	}
	args := &configv1.NodeResourcesFitArgs{ScoringStrategy: strategy}
	switch rapid.IntRange(0, 3).Draw(r, "ignored") {
	case 0:
		args.IgnoredResources = []string{"x.io/gpu"}
	case 1:
		args.IgnoredResourceGroups = []string{"x.io"}
	}
	if err := s.setFit("", args); err != nil {
		r.Fatal(err)
	}
	var err error
	if s.balanced, err = balancedResources("", rapid.SampledFrom([][]configv1.ResourceSpec{nil, {{Name: "cpu"}, {Name: "memory"}, {Name: "x.io/gpu"}}}).Draw(r, "balanced")); err != nil {
		r.Fatal(err)
	}
	return s
}

// sometimes is true once in n times.
func sometimes(r *rapid.T, n int, what string) bool {
	return rapid.IntRange(1, n).Draw(r, what) == 1
}

func drawNode(r *rapid.T, name string) *corev1.Node {
	pick := func(what string, from ...string) string { return rapid.SampledFrom(from).Draw(r, what) }
	w := []string{"cpu=" + pick("cpu", "1", "4", "16"), "memory=" + pick("memory", "1Gi", "8Gi", "3Ti"), "pods=" + pick("pods", "2", "110")}
	for _, extra := range []string{"x.io/gpu=2", "ephemeral-storage=10Gi", "hugepages-2Mi=100Mi", "label=disk:ssd", "label=size:7", "label=size:12", "taint=a:NoSchedule", "taint=b:PreferNoSchedule", "taint=c:PreferNoSchedule", "taint=d:NoExecute"} {
		if sometimes(r, 4, extra) {
			w = append(w, extra)
		}
	}
	n := parseNode(nil, name, w)
	n.Spec.Unschedulable = sometimes(r, 10, "cordoned")
	for _, image := range []string{"x/a:1", "x/b:latest"} {
		if sometimes(r, 2, image) {
			n.Status.Images = append(n.Status.Images, corev1.ContainerImage{Names: []string{image}, SizeBytes: rapid.Int64Range(1, 3000).Draw(r, "MB") << 20})
		}
	}
	return n
}

func drawPod(r *rapid.T, name string) *corev1.Pod {
	pick := func(what string, from ...string) string { return rapid.SampledFrom(from).Draw(r, what) }
	pod := parsePod(nil, name, nil)
	pod.UID = types.UID(name)
	requests := func(what string) corev1.ResourceRequirements {
		list := corev1.ResourceList{}
		for _, of := range [][]string{{"cpu", "100m", "700m", "2"}, {"memory", "64Mi", "900Mi", "3Gi"}, {"x.io/gpu", "1"}, {"ephemeral-storage", "1Gi", "6Gi"}, {"hugepages-2Mi", "60Mi"}} {
			resourceName, amounts, often := of[0], of[1:], 6
			if resourceName == "cpu" || resourceName == "memory" {
				often = 2
			}
			if sometimes(r, often, what+resourceName) {
				list[corev1.ResourceName(resourceName)] = resource.MustParse(pick(what, amounts...))
			}
		}
		return corev1.ResourceRequirements{Requests: list}
	}
	ports := func(what string) (out []corev1.ContainerPort) {
		if sometimes(r, 5, what) {
			out = append(out, corev1.ContainerPort{HostPort: 80, HostIP: pick("ip", "", "0.0.0.0", "10.0.0.1", "10.0.0.2"), Protocol: corev1.Protocol(pick("protocol", "TCP", "UDP"))})
		}
		return out
	}
	pod.Spec.Containers[0].Resources, pod.Spec.Containers[0].Image, pod.Spec.Containers[0].Ports = requests("first"), "x/a:1", ports("first's port")
	if sometimes(r, 3, "second container") {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "d", Image: "x/b:latest", Resources: requests("second")})
	}
	always := corev1.ContainerRestartPolicyAlways
	for i := range rapid.IntRange(0, 2).Draw(r, "init containers") {
		c := corev1.Container{Name: fmt.Sprint("i", i), Image: "x/a:1", Resources: requests("init"), Ports: ports("init's port")}
		if sometimes(r, 2, "sidecar") {
			c.RestartPolicy = &always
		}
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, c)
	}
	if sometimes(r, 5, "overhead") {
		pod.Spec.Overhead = corev1.ResourceList{"cpu": resource.MustParse("250m"), "memory": resource.MustParse("32Mi")}
	}
	if sometimes(r, 6, "pod-level resources") {
		pod.Spec.Resources = &corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("3"), "memory": resource.MustParse("4Gi")}}
	}
	for _, o := range []corev1.Toleration{{Key: "a", Operator: corev1.TolerationOpExists}, {Key: "b", Effect: corev1.TaintEffectPreferNoSchedule}, {Operator: corev1.TolerationOpExists}, {Key: "d", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}} {
		if sometimes(r, 5, "tolerates") {
			pod.Spec.Tolerations = append(pod.Spec.Tolerations, o)
		}
	}
	if sometimes(r, 8, "selector") {
		pod.Spec.NodeSelector = map[string]string{"disk": "ssd"}
	}
	terms := []corev1.NodeSelectorTerm{
		{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "disk", Operator: corev1.NodeSelectorOpExists}}},
		{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "disk", Operator: corev1.NodeSelectorOpDoesNotExist}, {Key: "size", Operator: corev1.NodeSelectorOpLt, Values: []string{"10"}}}},
		{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "size", Operator: corev1.NodeSelectorOpGt, Values: []string{"10"}}}},
		{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "disk", Operator: corev1.NodeSelectorOpNotIn, Values: []string{"ssd"}}}},
		{MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: corev1.NodeSelectorOpNotIn, Values: []string{"n0"}}}},
		{MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{"n2"}}}},
	}
	if sometimes(r, 3, "affinity") {
		a := &corev1.NodeAffinity{}
		if sometimes(r, 2, "required") {
			a.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{rapid.SampledFrom(terms).Draw(r, "term"), rapid.SampledFrom(terms).Draw(r, "or")}}
		}
		for i := range rapid.IntRange(0, 3).Draw(r, "preferred") {
			a.PreferredDuringSchedulingIgnoredDuringExecution = append(a.PreferredDuringSchedulingIgnoredDuringExecution, corev1.PreferredSchedulingTerm{Weight: int32(1 + 7*i), Preference: rapid.SampledFrom(terms).Draw(r, "prefers")})
		}
		pod.Spec.Affinity = &corev1.Affinity{NodeAffinity: a}
	}
	return pod
}
