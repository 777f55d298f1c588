package scheduler

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reckon-project/reckon/events"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

var update = flag.Bool("update", false, "write the transcripts in testdata anew")

// TestTranscripts plays the stories in testdata: after each line that starts with
// "> " come the events that the scheduler answers with.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			synctest.Test(t, func(t *testing.T) { got = play(t, string(want)) })
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("transcript differs (write it anew with -update)\n--- got\n%s\n--- want\n%s", got, want)
			}
		})
	}
}

func play(t *testing.T, script string) string {
	h := newHarness(t, nil)
	var out strings.Builder
	var stop func()
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			out.WriteString(line)
			continue
		}
		command, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "> ")
		if !ok {
			continue
		}
		out.WriteString(line)
		words := strings.Fields(command)
		switch words[0] {
		case "start":
			stop = h.start("one")
		case "stop":
			stop()
		case "leave":
			h.leave()
		case "wait":
			d, err := time.ParseDuration(words[1])
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(d)
		default:
			h.do(words)
		}
		synctest.Wait()
		h.show(&out)
	}
	stop()
	return out.String()
}

func (h *harness) do(words []string) {
	verb, name := words[0], words[1]
	pod := events.Key{Resource: "pods", Namespace: "default", Name: name}
	switch verb {
	case "node":
		h.create("nodes", parseNode(h.t, name, words[2:]))
	case "pod":
		h.create("pods", parsePod(h.t, name, words[2:]))
	case "replicaset":
		h.create("replicasets", replicaSet(name))
	case "service":
		h.create("services", &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
			Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": name}},
		})
	case "delete":
		h.delete(pod)
	case "deleting":
		h.patch(pod, events.Deleting, map[string]any{"metadata": map[string]any{"deletionTimestamp": time.Now().UTC().Format(time.RFC3339)}})
	case "drop":
		h.delete(events.Key{Resource: "nodes", Name: name})
	case "cordon", "uncordon":
		h.patch(events.Key{Resource: "nodes", Name: name}, events.Cordoned, map[string]any{"spec": map[string]any{"unschedulable": verb == "cordon"}})
	case "ungate":
		h.patch(pod, events.Updated, map[string]any{"spec": map[string]any{"schedulingGates": nil}})
	case "finish":
		h.append(&events.Event{
			Prefix: events.PrefixFact, Reporter: h.pod(name).Spec.NodeName, Key: pod, Type: events.Reported, UID: string(h.pod(name).UID),
			Counter: events.Counter{Incarnation: 1, N: 1}, ContentType: events.ContentPatch, Data: []byte(`{"status":{"phase":"Succeeded"}}`),
		})
	case "podgroup":
		h.podGroup(name, words[2])
	case "budget":
		h.budget(name, words[2:])
	case "gone":
		h.delete(pod)
	case "devices", "drop-devices", "device-class", "device-taint", "resource-claim", "drop-resource-claim", "claim-made", "users-gone", "users-leave", "device-ready", "device-failed":
		h.doDevices(words)
	default:
		h.doVolumes(words)
	}
}

// show writes the scheduler's events since the last call; first those on resource claims and
// pod groups, by name, since they are written beside the others.
func (h *harness) show(out *strings.Builder) {
	var claims, others []string
	for e, err := range h.bus.Log().Read(h.ctx, h.shown+1) {
		if err != nil {
			h.t.Fatal(err)
		}
		h.shown = e.Sequence
		line := fmt.Sprintf("%s %s: %s\n", e.Type, e.Key, e.Note)
		switch {
		case e.Source != Component:
		case e.Key.Resource == "resourceclaims", e.Key.Resource == "podgroups":
			claims = append(claims, line)
		default:
			if others = append(others, line); e.Why != "" {
				others = append(others, "    "+e.Why+"\n")
			}
		}
	}
	slices.Sort(claims)
	for _, line := range append(claims, others...) {
		out.WriteString(line)
	}
}

func parseNode(t testing.TB, name string, words []string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubernetes.io/hostname": name}}}
	n.Status.Allocatable = corev1.ResourceList{corev1.ResourcePods: resource.MustParse("110")}
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "taint":
			key, effect, _ := strings.Cut(v, ":")
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Effect: corev1.TaintEffect(effect)})
		case "label":
			key, value, _ := strings.Cut(v, ":")
			n.Labels[key] = value
		case "zone":
			n.Labels[corev1.LabelTopologyZone] = v
		default:
			n.Status.Allocatable[corev1.ResourceName(k)] = resource.MustParse(v)
		}
	}
	return n
}

func parsePod(t testing.TB, name string, words []string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}}
	requests := corev1.ResourceList{}
	p.Spec.Containers = []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: requests}}}
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "owner":
			yes := true
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: v, UID: types.UID(v), Controller: &yes}}
		case "app":
			parseRule(t, p, "label", "app:"+v)
		case "tolerate":
			p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Key: v, Operator: corev1.TolerationOpExists})
		case "on":
			p.Spec.NodeName = v
		case "select":
			key, value, _ := strings.Cut(v, ":")
			p.Spec.NodeSelector = map[string]string{key: value}
		case "prefer", "node":
			key, value, _ := strings.Cut(v, ":")
			a := &corev1.NodeAffinity{}
			if k == "prefer" {
				a.PreferredDuringSchedulingIgnoredDuringExecution = []corev1.PreferredSchedulingTerm{{Weight: 10, Preference: corev1.NodeSelectorTerm{
					MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{value}}}}}}
			} else {
				a.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
					MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{v}}}}}}
			}
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: a}
		case "port":
			n, err := strconv.ParseInt(v, 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			p.Spec.Containers[0].Ports = append(p.Spec.Containers[0].Ports, corev1.ContainerPort{HostPort: int32(n), Protocol: corev1.ProtocolTCP})
		case "priority":
			n, err := strconv.ParseInt(v, 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			n32 := int32(n)
			p.Spec.Priority = &n32
		case "claim":
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: v, VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: v}}})
		case "device":
			p.Spec.ResourceClaims = append(p.Spec.ResourceClaims, corev1.PodResourceClaim{Name: v, ResourceClaimName: &v})
		case "device-template":
			p.Spec.ResourceClaims = append(p.Spec.ResourceClaims, corev1.PodResourceClaim{Name: v, ResourceClaimTemplateName: &v})
		case "gang":
			name, size, _ := strings.Cut(v, ":")
			p.Annotations = map[string]string{AnnotationGang: name, AnnotationGangSize: size}
		case "group":
			p.Spec.SchedulingGroup = &corev1.PodSchedulingGroup{PodGroupName: &v}
		case "never":
			never := corev1.PreemptNever
			p.Spec.PreemptionPolicy = &never
		case "gate":
			p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: v}}
		case "scheduler":
			p.Spec.SchedulerName = v
		case "init":
			p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Name: "i", Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(v)}}})
		default:
			if !parseRule(t, p, k, v) {
				requests[corev1.ResourceName(k)] = resource.MustParse(v)
			}
		}
	}
	return p
}
