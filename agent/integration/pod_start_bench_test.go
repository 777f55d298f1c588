package integration

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent"
)

// BenchmarkPodStart compares the time from a pod's feed message to its Ready
// fact with the bare CRI calls of the same pod, taken in
// turns. Nothing is removed meanwhile: the kernel clears namespaces in the background.
func BenchmarkPodStart(b *testing.B) {
	n := newNode(b)
	layout := agent.Layout(n.options)
	client, err := layout.Start(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	var agents, bare []time.Duration
	for i := 0; b.Loop(); i++ {
		begin := time.Now()
		p := n.run(newPod(fmt.Sprintf("a-%d", i), "/bin/sleep", "1000"))
		n.await(p, "ready", isReady)
		agents = append(agents, time.Since(begin))
		name := fmt.Sprintf("b-%d", i)
		sandbox := &cri.PodSandboxConfig{
			Metadata: &cri.PodSandboxMetadata{Name: name, Namespace: "bare", Uid: uuid.NewString()}, LogDirectory: b.TempDir(), Hostname: name,
			Linux: &cri.LinuxPodSandboxConfig{CgroupParent: layout.CgroupPrefix() + "/besteffort/" + name,
				SecurityContext: &cri.LinuxSandboxSecurityContext{Seccomp: &cri.SecurityProfile{ProfileType: cri.SecurityProfile_RuntimeDefault}}},
		}
		begin = time.Now()
		id, err := client.RunSandbox(b.Context(), sandbox)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := client.SandboxStatus(b.Context(), id); err != nil {
			b.Fatal(err)
		}
		c, err := client.CreateContainer(b.Context(), id, &cri.ContainerConfig{Metadata: &cri.ContainerMetadata{Name: "main"},
			Image: &cri.ImageSpec{Image: busybox}, Command: []string{"/bin/sleep", "1000"}, LogPath: "0.log"}, sandbox)
		if err != nil {
			b.Fatal(err)
		}
		if err := client.StartContainer(b.Context(), c); err != nil {
			b.Fatal(err)
		}
		if _, err := client.ContainerStatus(b.Context(), c); err != nil {
			b.Fatal(err)
		}
		bare = append(bare, time.Since(begin))
	}
	slices.Sort(agents)
	slices.Sort(bare)
	a, c := agents[len(agents)/2], bare[len(bare)/2]
	b.ReportMetric(float64(a.Milliseconds()), "agent-ms")
	b.ReportMetric(float64(c.Milliseconds()), "cri-ms")
	b.ReportMetric(float64(a)/float64(c), "ratio(limit1.15)")
}
