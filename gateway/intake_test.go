package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway"
	"github.com/reckon-project/reckon/gateway/gatewaytest"
)

// creator is what controllers see of the short way in.
type creator interface {
	CreateObject(ctx context.Context, obj runtime.Object, manager string, header http.Header) (uint64, bool, error)
}

const manager = "replicaset-controller"

// bothWays sends a pod the long way or the short one.
type bothWays struct {
	t  *testing.T
	rt http.RoundTripper
}

func (b bothWays) long(pod *corev1.Pod, h http.Header) (uint64, error) {
	b.t.Helper()
	data, err := events.EncodeObject(pod)
	if err != nil {
		b.t.Fatal(err)
	}
	url := "http://reckon/api/v1/namespaces/" + pod.Namespace + "/pods?fieldManager=" + manager
	req := must(http.NewRequestWithContext(b.t.Context(), http.MethodPost, url, bytes.NewReader(data)))(b.t)
	req.Header = h.Clone()
	req.Header.Set("Content-Type", "application/json")
	resp := must(b.rt.RoundTrip(req))(b.t)
	defer resp.Body.Close()
	body := must(io.ReadAll(resp.Body))(b.t)
	if resp.StatusCode != http.StatusCreated {
		status := &metav1.Status{}
		if err := json.Unmarshal(body, status); err != nil {
			b.t.Fatal(err)
		}
		return 0, &apierrors.StatusError{ErrStatus: *status}
	}
	var o metav1.PartialObjectMetadata
	if err := json.Unmarshal(body, &o); err != nil {
		b.t.Fatal(err)
	}
	var version uint64
	must(fmt.Sscan(o.ResourceVersion, &version))(b.t)
	return version, nil
}

func (b bothWays) short(pod *corev1.Pod, h http.Header) (uint64, bool, error) {
	return b.rt.(creator).CreateObject(b.t.Context(), pod, manager, h)
}

// A pod gives the same event whichever way it comes, and is refused in the same words.
func TestShortWay(t *testing.T) {
	c := gatewaytest.Start(t)
	admin := must(kubernetes.NewForConfig(c.Admin))(t)
	eventually(t, "a service account to run pods as", func(ctx context.Context) (bool, error) {
		_, err := admin.CoreV1().ServiceAccounts("default").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
		return err == nil, nil
	})
	for _, template := range podTemplates() {
		t.Run(template.Name, func(t *testing.T) {
			b := bothWays{t, c.Gateway.Transport(serviceaccount.UserInfo("kube-system", manager, ""))}
			pod := func(name string) *corev1.Pod {
				p := template.DeepCopy()
				p.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
				p.Namespace, p.Name, p.GenerateName = "default", template.Name+"-"+name, template.Name+"-"
				owner := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: template.Name, UID: "of-" + types.UID(template.Name)}}
				p.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(owner, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))}
				return p
			}
			h := http.Header{}
			for k, v := range map[string]string{
				gateway.HeaderCause: "1,2", gateway.HeaderReason: "SuccessfulCreate", gateway.HeaderNote: "Created pod",
				"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
			} {
				h.Set(k, v)
			}
			if _, taken, err := b.short(pod("a"), h); taken || err != nil {
				t.Fatalf("the first pod went the short way: %v", err)
			}
			long := must(b.long(pod("a"), h))(t)
			given := pod("b")
			before := given.DeepCopy()
			short, taken, err := b.short(given, h)
			if !taken || err != nil {
				t.Fatalf("the second pod didn't go the short way: %v", err)
			}
			if !reflect.DeepEqual(given, before) {
				t.Error("the pod given was modified")
			}
			if l, s := eventText(t, c, long), eventText(t, c, short); l != s {
				t.Errorf("the long way gives\n%s\nthe short one\n%s", l, s)
			}
			_, longErr := b.long(pod("b"), h)
			_, taken, shortErr := b.short(pod("b"), h)
			if !taken || !apierrors.IsAlreadyExists(shortErr) || longErr.Error() != shortErr.Error() {
				t.Errorf("a name that is taken: %v the long way, %v the short one", longErr, shortErr)
			}
			other := pod("c")
			other.Spec.Containers[0].Image = "other"
			if _, taken, _ := b.short(other, h); taken {
				t.Error("another pod than the sample went the short way")
			}
			nobody := bothWays{t, c.Gateway.Transport(serviceaccount.UserInfo("default", "nobody", ""))}
			if _, taken, _ := nobody.short(pod("d"), h); taken {
				t.Error("somebody without the right went the short way")
			}
		})
	}
}

// eventText is an event without what differs between two pods anyhow.
func eventText(t *testing.T, c *gatewaytest.Cluster, sequence uint64) string {
	t.Helper()
	e := must(c.Bus.Log().Get(t.Context(), sequence))(t)
	p, err := events.DecodeObject(e.Data)
	if err != nil {
		t.Fatal(err)
	}
	pod := p.(*corev1.Pod)
	text := strings.ReplaceAll(string(e.Data), string(pod.UID), "UID")
	text = strings.ReplaceAll(text, `"`+pod.Name+`"`, `"NAME"`)
	for _, at := range []time.Time{pod.CreationTimestamp.Time, pod.ManagedFields[0].Time.Time} {
		text = strings.ReplaceAll(text, at.UTC().Format(time.RFC3339), "TIME")
	}
	for _, v := range pod.Spec.Volumes {
		text = strings.ReplaceAll(text, `"`+v.Name+`"`, "VOLUME") // a service account's has a random name
	}
	return fmt.Sprintln(e.Type, e.Source, e.Actor, e.Verb, e.Cause, e.Reason, e.Note, e.Traceparent, e.Component, e.Epoch, e.IfVersion, e.ContentType) + text
}

func podTemplates() []corev1.Pod {
	plain := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "plain", Labels: map[string]string{"app": "a"}}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "main", Image: "web:1"}},
	}}
	rich := *plain.DeepCopy()
	rich.Name, rich.Annotations, rich.Finalizers = "rich", map[string]string{"a": "b"}, []string{"example.com/wait"}
	rich.Spec = corev1.PodSpec{
		TerminationGracePeriodSeconds: ptr.To(int64(5)), HostAliases: []corev1.HostAlias{{IP: "10.0.0.1", Hostnames: []string{"h"}}},
		InitContainers: []corev1.Container{{Name: "init", Image: "init", Command: []string{"true"}, RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways)}},
		Containers: []corev1.Container{{
			Name: "main", Image: "web:latest", Args: []string{"-v"},
			Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 80}, {ContainerPort: 81, Protocol: corev1.ProtocolUDP}},
			Env:   []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "NODE", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.nodeName"}}}},
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("0.1"), corev1.ResourceMemory: resource.MustParse("16Mi")},
				Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1024Mi"), corev1.ResourceCPU: resource.MustParse("2000m")},
			},
			ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromString("http")}}},
			VolumeMounts:   []corev1.VolumeMount{{Name: "v", MountPath: "/v"}},
		}},
		Volumes:     []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "c"}}}}},
		Tolerations: []corev1.Toleration{{Key: "k", Operator: corev1.TolerationOpExists}},
		Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
			Weight: 1, PodAffinityTerm: corev1.PodAffinityTerm{TopologyKey: "kubernetes.io/hostname", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}}},
		}}}},
		SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: ptr.To(true)},
	}
	return []corev1.Pod{plain, rich}
}
