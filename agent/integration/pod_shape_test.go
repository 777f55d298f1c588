package integration

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
)

func TestSidecarRunsBesideAndDoesNotHoldUpTheEnd(t *testing.T) {
	n := newNode(t)
	p := newPod("assisted", "/bin/sh", "-c", "test -e /data/up && echo helped")
	p.Spec.RestartPolicy = v1.RestartPolicyNever
	p.Spec.Volumes = []v1.Volume{{Name: "data", VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{Medium: v1.StorageMediumMemory}}}}
	mount := []v1.VolumeMount{{Name: "data", MountPath: "/data"}}
	p.Spec.Containers[0].VolumeMounts = mount
	always := v1.ContainerRestartPolicyAlways
	side := p.Spec.Containers[0]
	side.Name, side.Command, side.RestartPolicy = "side", []string{"/bin/sh", "-c", "touch /data/up; sleep 1000"}, &always
	side.StartupProbe = &v1.Probe{PeriodSeconds: 1, FailureThreshold: 30, ProbeHandler: v1.ProbeHandler{Exec: &v1.ExecAction{Command: []string{"/bin/cat", "/data/up"}}}}
	p.Spec.InitContainers = []v1.Container{side}
	n.run(p)
	s, _ := n.await(p, "succeeded", phaseIs(v1.PodSucceeded))
	if s.InitContainerStatuses[0].State.Terminated == nil {
		t.Errorf("the sidecar is %+v", s.InitContainerStatuses[0])
	}
	n.awaitLog("assisted", "helped\n")
}

func TestIsolation(t *testing.T) {
	n := newNode(t)
	no, yes := false, true
	p := newPod("locked", "/bin/sh", "-c", "cat /proc/self/status; touch /x || echo read-only; cat /etc/hosts /etc/resolv.conf; sleep 1000")
	p.Spec.HostAliases = []v1.HostAlias{{IP: "10.1.2.3", Hostnames: []string{"far", "away"}}}
	p.Spec.DNSPolicy, p.Spec.DNSConfig = v1.DNSNone, &v1.PodDNSConfig{Nameservers: []string{"10.9.9.9"}, Searches: []string{"here.test"}}
	p.Spec.Containers[0].SecurityContext = &v1.SecurityContext{
		AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
		Capabilities:   &v1.Capabilities{Drop: []v1.Capability{"ALL"}, Add: []v1.Capability{"NET_BIND_SERVICE"}},
		SeccompProfile: &v1.SeccompProfile{Type: v1.SeccompProfileTypeRuntimeDefault},
	}
	n.run(p)
	s, _ := n.await(p, "ready", isReady)
	log := ""
	for !strings.Contains(log, "here.test") {
		log = n.get("/containerLogs/default/locked/main")
	}
	for _, want := range []string{"CapEff:\t0000000000000400", "NoNewPrivs:\t1", "Seccomp:\t2", "read-only", "10.1.2.3\tfar\taway", s.PodIP + "\tlocked", "nameserver 10.9.9.9"} {
		if !strings.Contains(log, want) {
			t.Errorf("%q is missing in %s", want, log)
		}
	}
}
