package job

import (
	"maps"
	"slices"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
)

// create makes n pods, unless a failure holds them up. After a refused create it
// tries one.
func (p *pass) create(n int) {
	if !perIndex(p.job) {
		if wait := backoffOf(p.pods, p.now); wait > 0 {
			p.requeue(wait)
			return
		}
	}
	if p.failure != nil {
		n = 1
	}
	made := 0
	if indexed(p.job) {
		for _, index := range p.pending(n) {
			p.createPod(index)
			made++
		}
	} else {
		names := p.names(p.job.Name)
		for range n {
			p.add(p.newPod(), &names)
		}
		made = n
	}
	if p.failure == nil {
		p.next.Active += int32(made)
	}
}

// pending gives the lowest indexes that want a pod now, n at most.
func (p *pass) pending(n int) []int {
	taken := p.done.and(p.activeIndexes()).and(p.lost)
	if replacesFailedOnly(p.job) {
		var going []int
		for i := range p.pods {
			if p.pods[i].terminating() && p.pods[i].index != noIndex {
				going = append(going, p.pods[i].index)
			}
		}
		taken = taken.and(indexesOf(going))
	}
	list := taken.missing(n, int(*p.job.Spec.Completions))
	return slices.DeleteFunc(list, func(i int) bool {
		last := p.waiting[i]
		if last == nil {
			return false
		}
		wait := backoff(attempts(last)+1, ended(last.Pod), p.now)
		p.requeue(wait)
		return wait > 0
	})
}

func (p *pass) names(prefix string) controllers.Namer {
	return controllers.Namer{Prefix: prefix, UID: string(p.job.UID), Position: p.s.Position()}
}

func (p *pass) add(pod *corev1.Pod, names *controllers.Namer) {
	pod.Name = names.Next(func(name string) bool { return p.s.Get(controllers.Pod.Key(p.job.Namespace, name)).Exists() })
	p.intents = append(p.intents, controllers.Create(controllers.Pod, pod).Because("SuccessfulCreate", "Created pod: %s", pod.Name))
}

func (p *pass) newPod() *corev1.Pod {
	t := &p.job.Spec.Template
	pod := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.job.Namespace, GenerateName: p.job.Name + "-",
			Labels: t.Labels, Annotations: t.Annotations, Finalizers: t.Finalizers,
			OwnerReferences: []metav1.OwnerReference{kind.Ref(p.job)},
		},
		Spec: t.Spec,
	}
	if !tracked(pod) {
		pod.Finalizers = append(slices.Clip(pod.Finalizers), batchv1.JobTrackingFinalizer)
	}
	return pod
}

// longestPrefix leaves room for a name's random end.
const longestPrefix = 57

// createPod makes the pod of an index.
func (p *pass) createPod(index int) {
	pod := p.newPod()
	text := strconv.Itoa(index)
	prefix := p.job.Name
	if longest := longestPrefix - len(text) - 1; len(prefix) > longest {
		prefix = prefix[:longest]
	}
	prefix += "-" + text
	pod.GenerateName = prefix + "-"
	pod.Labels, pod.Annotations = with(pod.Labels, batchv1.JobCompletionIndexAnnotation, text), with(pod.Annotations, batchv1.JobCompletionIndexAnnotation, text)
	if perIndex(p.job) {
		p.noteFailures(pod, p.waiting[index])
	}
	pod.Spec.Hostname = p.job.Name + "-" + text
	pod.Spec.InitContainers, pod.Spec.Containers = withIndex(pod.Spec.InitContainers), withIndex(pod.Spec.Containers)
	names := p.names(prefix)
	p.add(pod, &names)
}

// noteFailures writes on a pod how often its index had failed before.
func (p *pass) noteFailures(pod *corev1.Pod, last *pod) {
	counted, ignored := 0, 0
	if last != nil {
		counted, ignored = failuresOf(last.Pod)
		if action, _ := judge(p.job.Spec.PodFailurePolicy, last.Pod); action == batchv1.PodFailurePolicyActionIgnore {
			ignored++
		} else {
			counted++
		}
	}
	pod.Annotations[batchv1.JobIndexFailureCountAnnotation] = strconv.Itoa(counted)
	if ignored > 0 {
		pod.Annotations[batchv1.JobIndexIgnoredFailureCountAnnotation] = strconv.Itoa(ignored)
	}
}

func with(m map[string]string, key, value string) map[string]string {
	out := maps.Clone(m)
	if out == nil {
		out = map[string]string{}
	}
	out[key] = value
	return out
}

// envIndex tells a container its index.
const envIndex = "JOB_COMPLETION_INDEX"

func withIndex(containers []corev1.Container) []corev1.Container {
	out := slices.Clone(containers)
	for i := range out {
		if slices.ContainsFunc(out[i].Env, func(e corev1.EnvVar) bool { return e.Name == envIndex }) {
			continue
		}
		from := &corev1.ObjectFieldSelector{FieldPath: "metadata.labels['" + batchv1.JobCompletionIndexAnnotation + "']"}
		out[i].Env = append(slices.Clip(out[i].Env), corev1.EnvVar{Name: envIndex, ValueFrom: &corev1.EnvVarSource{FieldRef: from}})
	}
	return out
}
