package statefulset

import (
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
)

// parse splits "web-0" into the set's name and the ordinal; -1: it has none.
func parse(name string) (set string, ordinal int) {
	i := strings.LastIndexByte(name, '-')
	if i < 0 || i == len(name)-1 {
		return "", -1
	}
	for _, c := range []byte(name[i+1:]) {
		if c < '0' || c > '9' {
			return "", -1
		}
	}
	n, err := strconv.ParseInt(name[i+1:], 10, 32)
	if err != nil {
		return "", -1
	}
	return name[:i], int(n)
}

func podName(set *appsv1.StatefulSet, ordinal int) string {
	return set.Name + "-" + strconv.Itoa(ordinal)
}

// start is the first ordinal.
func start(set *appsv1.StatefulSet) int {
	if o := set.Spec.Ordinals; o != nil {
		return int(o.Start)
	}
	return 0
}

// newPod is the pod of an ordinal, of a template at a revision.
func newPod(set *appsv1.StatefulSet, template *corev1.PodTemplateSpec, revision string, ordinal int) *corev1.Pod {
	t := template.DeepCopy()
	pod := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: set.Namespace, Name: podName(set, ordinal), GenerateName: set.Name + "-",
			Labels: t.Labels, Annotations: t.Annotations, Finalizers: t.Finalizers,
			OwnerReferences: []metav1.OwnerReference{controllers.StatefulSet.Ref(set)},
		},
		Spec: t.Spec,
	}
	label(pod, ordinal)
	pod.Labels[appsv1.StatefulSetRevisionLabel] = revision
	pod.Spec.Hostname, pod.Spec.Subdomain = pod.Name, set.Spec.ServiceName
	pod.Spec.Volumes = withClaims(set, ordinal, pod.Spec.Volumes)
	return pod
}

// label marks a pod with its identity.
func label(pod *corev1.Pod, ordinal int) {
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	pod.Labels[appsv1.StatefulSetPodNameLabel] = pod.Name
	pod.Labels[appsv1.PodIndexLabel] = strconv.Itoa(ordinal)
}
