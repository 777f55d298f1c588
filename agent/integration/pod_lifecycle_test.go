package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func first(s v1.PodStatus) v1.ContainerStatus {
	if len(s.ContainerStatuses) == 0 {
		return v1.ContainerStatus{}
	}
	return s.ContainerStatuses[0]
}

func TestCompletedPodSucceeds(t *testing.T) {
	n := newNode(t)
	p := newPod("job", "/bin/sh", "-c", "echo done > /dev/termination-log")
	p.Spec.RestartPolicy = v1.RestartPolicyNever
	n.run(p)
	s, _ := n.await(p, "succeeded", phaseIs(v1.PodSucceeded))
	if got := first(s).State.Terminated; got == nil || got.Reason != "Completed" || got.Message != "done\n" {
		t.Errorf("the container ended as %+v", got)
	}
}

func TestFailedPodSaysItsExitCode(t *testing.T) {
	n := newNode(t)
	p := newPod("job", "/bin/sh", "-c", "exit 3")
	p.Spec.RestartPolicy = v1.RestartPolicyNever
	n.run(p)
	s, _ := n.await(p, "failed", phaseIs(v1.PodFailed))
	if got := first(s).State.Terminated; got == nil || got.ExitCode != 3 || got.Reason != "Error" {
		t.Errorf("the container ended as %+v", got)
	}
}

func TestCrashingContainerBacksOff(t *testing.T) {
	n := newNode(t)
	p := n.run(newPod("crash", "/bin/sh", "-c", "echo life $$; exit 1"))
	s, facts := n.await(p, "backing off", func(s v1.PodStatus) bool {
		w := first(s).State.Waiting
		return w != nil && w.Reason == "CrashLoopBackOff"
	})
	if first(s).RestartCount < 1 || first(s).LastTerminationState.Terminated == nil {
		t.Errorf("it was not restarted before: %+v", first(s))
	}
	if last := facts[len(facts)-1]; last.Reason != "BackOff" {
		t.Errorf("the last fact's reason is %s", last.Reason)
	}
	if got := n.get("/containerLogs/default/crash/main?previous=true"); !strings.HasPrefix(got, "life") {
		t.Errorf("the previous log is %q", got)
	}
}

func TestOOMKilled(t *testing.T) {
	n := newNode(t)
	p := newPod("hungry", "/bin/sh", "-c", "a=x; while true; do a=$a$a; done")
	p.Spec.RestartPolicy = v1.RestartPolicyNever
	p.Spec.Containers[0].Resources.Limits = v1.ResourceList{v1.ResourceMemory: resource.MustParse("16Mi")}
	p.Status.QOSClass = v1.PodQOSBurstable
	n.run(p)
	s, _ := n.await(p, "failed", phaseIs(v1.PodFailed))
	if got := first(s).State.Terminated; got == nil || got.Reason != "OOMKilled" || got.ExitCode != 137 {
		t.Errorf("the container ended as %+v", got)
	}
}

func TestInitContainersRunInOrder(t *testing.T) {
	n := newNode(t)
	p := newPod("ordered", "/bin/sh", "-c", "cat /data/log; sleep 1000")
	p.Spec.Volumes = []v1.Volume{{Name: "data", VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{}}}}
	mount := []v1.VolumeMount{{Name: "data", MountPath: "/data"}}
	for _, name := range []string{"first", "second"} {
		c := p.Spec.Containers[0]
		c.Name, c.Command, c.VolumeMounts = name, []string{"/bin/sh", "-c", "echo " + name + " >> /data/log"}, mount
		p.Spec.InitContainers = append(p.Spec.InitContainers, c)
	}
	p.Spec.Containers[0].VolumeMounts = mount
	n.run(p)
	s, _ := n.await(p, "ready", isReady)
	if len(s.InitContainerStatuses) != 2 || s.InitContainerStatuses[1].State.Terminated == nil {
		t.Errorf("the init containers are %+v", s.InitContainerStatuses)
	}
	n.awaitLog("ordered", "first\nsecond\n")
}

func TestProbes(t *testing.T) {
	n := newNode(t)
	p := newPod("probed", "/bin/sh", "-c", "/bin/touch /alive; exec /bin/httpd -f -p 8080 -h /")
	p.Spec.Containers[0].Ports = []v1.ContainerPort{{Name: "http", ContainerPort: 8080}}
	p.Spec.Containers[0].ReadinessProbe = &v1.Probe{PeriodSeconds: 1, ProbeHandler: v1.ProbeHandler{HTTPGet: &v1.HTTPGetAction{Path: "/alive", Port: intstr.FromString("http")}}}
	p.Spec.Containers[0].LivenessProbe = &v1.Probe{PeriodSeconds: 1, FailureThreshold: 2, ProbeHandler: v1.ProbeHandler{Exec: &v1.ExecAction{Command: []string{"/bin/cat", "/live"}}}, InitialDelaySeconds: 3}
	n.run(p)
	n.await(p, "ready", isReady)
	s, facts := n.await(p, "restarted", func(s v1.PodStatus) bool { return first(s).RestartCount >= 1 })
	if first(s).LastTerminationState.Terminated == nil {
		t.Errorf("the container is %+v", first(s))
	}
	found := false
	for _, f := range facts {
		t.Logf("%s: %s", f.Reason, f.Note)
		found = found || strings.Contains(f.Note, "failed liveness probe, will be restarted")
	}
	if !found {
		t.Error("no fact tells why it was restarted")
	}
}

func TestConfigMapReachesTheRunningPod(t *testing.T) {
	n := newNode(t)
	cm := &v1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "settings"}, Data: map[string]string{"color": "red"}}
	p := newPod("reader", "/bin/sh", "-c", "echo $COLOR; last=; while true; do now=$(cat /etc/settings/color); [ \"$now\" != \"$last\" ] && echo file $now; last=$now; /bin/sleep 0.1; done")
	p.Spec.Volumes = []v1.Volume{{Name: "settings", VolumeSource: v1.VolumeSource{ConfigMap: &v1.ConfigMapVolumeSource{LocalObjectReference: v1.LocalObjectReference{Name: "settings"}}}}}
	p.Spec.Containers[0].VolumeMounts = []v1.VolumeMount{{Name: "settings", MountPath: "/etc/settings"}}
	p.Spec.Containers[0].Env = []v1.EnvVar{{Name: "COLOR", ValueFrom: &v1.EnvVarSource{ConfigMapKeyRef: &v1.ConfigMapKeySelector{LocalObjectReference: v1.LocalObjectReference{Name: "settings"}, Key: "color"}}}}
	n.run(p) // before what it needs
	n.put("configmaps", cm)
	n.await(p, "ready", isReady)
	n.awaitLog("reader", "red\nfile red\n")
	cm.Data["color"] = "blue"
	n.put("configmaps", cm)
	n.awaitLog("reader", "red\nfile red\nfile blue\n")
}

func TestSecretsTokensAndFields(t *testing.T) {
	n := newNode(t)
	n.put("secrets", &v1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "s"}, Data: map[string][]byte{"k": []byte("hidden")}})
	n.put("configmaps", &v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "kube-root-ca.crt"}, Data: map[string]string{"ca.crt": "the-ca"}})
	p := newPod("fields", "/bin/sh", "-c", "cd /var/run/secrets/kubernetes.io/serviceaccount; cat token; echo; cat namespace; echo; cat ca.crt; echo; cat /s/k; echo; echo $NAME $IP $CPU; id -u; id -G; hostname; test -w /s/k && echo writable; sleep 1000")
	p.Spec.ServiceAccountName = "robot"
	seconds, user, group := int64(3607), int64(1000), int64(2000)
	p.Spec.SecurityContext = &v1.PodSecurityContext{RunAsUser: &user, FSGroup: &group}
	p.Spec.Volumes = []v1.Volume{
		{Name: "s", VolumeSource: v1.VolumeSource{Secret: &v1.SecretVolumeSource{SecretName: "s"}}},
		{Name: "account", VolumeSource: v1.VolumeSource{Projected: &v1.ProjectedVolumeSource{Sources: []v1.VolumeProjection{
			{ServiceAccountToken: &v1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: &seconds}},
			{ConfigMap: &v1.ConfigMapProjection{LocalObjectReference: v1.LocalObjectReference{Name: "kube-root-ca.crt"}, Items: []v1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}}}},
			{DownwardAPI: &v1.DownwardAPIProjection{Items: []v1.DownwardAPIVolumeFile{{Path: "namespace", FieldRef: &v1.ObjectFieldSelector{FieldPath: "metadata.namespace"}}}}},
		}}}},
	}
	c := &p.Spec.Containers[0]
	c.VolumeMounts = []v1.VolumeMount{{Name: "s", MountPath: "/s", ReadOnly: true}, {Name: "account", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount", ReadOnly: true}}
	c.Resources.Limits = v1.ResourceList{v1.ResourceCPU: resource.MustParse("1500m")}
	field := func(path string) *v1.EnvVarSource {
		return &v1.EnvVarSource{FieldRef: &v1.ObjectFieldSelector{FieldPath: path}}
	}
	c.Env = []v1.EnvVar{{Name: "NAME", ValueFrom: field("metadata.name")}, {Name: "IP", ValueFrom: field("status.podIP")},
		{Name: "CPU", ValueFrom: &v1.EnvVarSource{ResourceFieldRef: &v1.ResourceFieldSelector{Resource: "limits.cpu"}}}}
	n.run(p)
	s, _ := n.await(p, "ready", isReady)
	n.awaitLog("fields", "token-of-robot\ndefault\nthe-ca\nhidden\nfields "+s.PodIP+" 2\n1000\n0 2000\nfields\n")
}

func TestDeletedPodStopsInItsGracePeriod(t *testing.T) {
	n := newNode(t)
	p := newPod("slow", "/bin/sh", "-c", "trap 'echo stopping; exit 0' TERM; echo up; while true; do /bin/sleep 0.1; done")
	grace := int64(20)
	p.Spec.TerminationGracePeriodSeconds = &grace
	p.Spec.Containers[0].Lifecycle = &v1.Lifecycle{PreStop: &v1.LifecycleHandler{Exec: &v1.ExecAction{Command: []string{"/bin/sh", "-c", "echo hook > /proc/1/fd/1"}}}}
	n.run(p)
	n.await(p, "ready", isReady)
	n.awaitLog("slow", "up\n")
	now := metav1.Now()
	p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &now, &grace
	n.run(p)
	s, _ := n.await(p, "succeeded", phaseIs(v1.PodSucceeded))
	if got := first(s).State.Terminated; got == nil || got.ExitCode != 0 {
		t.Errorf("the container ended as %+v", got)
	}
	n.awaitLog("slow", "up\nhook\nstopping\n")
	n.remove(p)
	n.awaitGone(p)
}

func TestRestartedAgentAdoptsWhatRuns(t *testing.T) {
	n := newNode(t)
	p := n.run(newPod("steady", "/bin/sh", "-c", "echo once; sleep 1000"))
	before, _ := n.await(p, "ready", isReady)
	n.halt()
	n.start()
	n.awaitLog("steady", "once\n")
	p2 := n.run(newPod("later", "/bin/sleep", "1000"))
	n.await(p2, "ready", isReady)
	after, _ := n.await(p, "ready", isReady)
	if first(after).ContainerID != first(before).ContainerID || first(after).RestartCount != 0 || !isReady(after) {
		t.Errorf("it became %+v", first(after))
	}
}

func TestRestartedAgentRemovesWhatIsGoneMeanwhile(t *testing.T) {
	n := newNode(t)
	p := n.run(newPod("gone", "/bin/sleep", "1000"))
	n.await(p, "ready", isReady)
	n.halt()
	n.newBus()
	n.start()
	q := n.run(newPod("other", "/bin/sleep", "1000"))
	n.await(q, "ready", isReady)
	if _, err := os.Stat(filepath.Join(n.options.Dir, "pods", string(p.UID))); err != nil {
		t.Errorf("absence stopped the pod: %v", err)
	}
	n.send("feed.n1.manifest._.n1", []byte(`{"position":1000000,"epoch":1,"pods":["`+string(q.UID)+`"]}`))
	n.awaitGone(p)
}

// awaitLog waits until the log of the pod's container main is as wanted.
func (n *node) awaitLog(pod, want string) {
	n.t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		got := n.get("/containerLogs/default/" + pod + "/main")
		if got == want {
			return
		}
		select {
		case <-deadline:
			n.t.Fatalf("the log of %s is %q, not %q", pod, got, want)
		case <-tick.C:
		}
	}
}

// awaitGone waits until nothing of a pod is left on the node.
func (n *node) awaitGone(p *v1.Pod) {
	n.t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := os.Stat(filepath.Join(n.options.Dir, "pods", string(p.UID)))
		if os.IsNotExist(err) {
			return
		}
		select {
		case <-deadline:
			n.t.Fatalf("pod %s is still there", p.Name)
		case <-tick.C:
		}
	}
}
