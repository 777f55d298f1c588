package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/agent/machine"
	"github.com/reckon-project/reckon/agent/report"
	"github.com/reckon-project/reckon/agent/runtime"
	"github.com/reckon-project/reckon/agent/volume"
	"github.com/reckon-project/reckon/events"
)

const (
	lookAtNode = 10 * time.Second // at the runtime's readiness
	tellAnyway = 5 * time.Minute
	mostImages = 50
	registered = time.Second // between tries
)

// nodeState is what the agent knows of its node.
type nodeState struct {
	ips         []string
	capacity    v1.ResourceList
	allocatable v1.ResourceList
	info        v1.NodeSystemInfo
	strays      map[string]*v1.Pod
	again       atomic.Bool
	wake        chan struct{} // there is something to report

	mu         sync.Mutex
	conditions []v1.NodeConditionType // pressures
	steps      []events.Step          // to be told with the next report
	leaving    bool                   // it is being shut down
}

// measureNode finds out what the machine has.
func (a *Agent) measureNode(status runtime.Status) error {
	a.node.ips = a.o.NodeIPs
	if len(a.node.ips) == 0 {
		ip, err := firstAddress()
		if err != nil {
			return err
		}
		a.node.ips = []string{ip}
	}
	capacity := a.o.Capacity
	if capacity == nil {
		var err error
		if capacity, err = machine.Capacity(proc, a.o.Dir, a.o.MaxPods); err != nil {
			return err
		}
	}
	a.node.capacity = capacity
	a.node.allocatable = machine.Allocatable(capacity, a.o.Upkeep.SystemReserved, a.o.Upkeep.KubeReserved, a.kept(capacity))
	a.node.info = systemInfo(status, a.o.Runtime == nil)
	return nil
}

func systemInfo(status runtime.Status, real bool) v1.NodeSystemInfo {
	out := v1.NodeSystemInfo{
		OperatingSystem: goruntime.GOOS, Architecture: goruntime.GOARCH,
		ContainerRuntimeVersion: status.Name + "://" + status.Version, KubeletVersion: "v1.37.1",
		OSImage: "Linux", KernelVersion: "unknown",
	}
	if !real {
		return out
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		out.KernelVersion = unix.ByteSliceToString(u.Release[:])
	}
	out.MachineID = firstLine("/etc/machine-id")
	out.BootID = firstLine("/proc/sys/kernel/random/boot_id")
	if data, err := os.ReadFile("/etc/os-release"); err == nil {
		for line := range strings.Lines(string(data)) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
				out.OSImage = strings.Trim(v, `"`)
			}
		}
	}
	return out
}

func firstLine(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return line
}

// firstAddress is the machine's first address that others can reach, or the
// loopback one on a machine without a network.
func firstAddress() (string, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", fmt.Errorf("list the machine's addresses: %w", err)
	}
	for _, address := range addresses {
		if n, ok := address.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String(), nil
		}
	}
	return "127.0.0.1", nil
}

func isOld(s runtime.Status) bool {
	return s.Name == "containerd" && strings.HasPrefix(strings.TrimPrefix(s.Version, "v"), "1.")
}

func podUID(uid string) types.UID { return types.UID(uid) }

// runNode registers the node and then keeps its status reported.
func (a *Agent) runNode(ctx context.Context) error {
	node, joined, err := a.register(ctx)
	if err != nil {
		return err
	}
	if a.manager != nil {
		a.manager.CSI.Introduce(ctx)
	}
	ticker := a.clock.NewTicker(lookAtNode)
	defer ticker.Stop()
	sent := nodePatch{Conditions: node.Status.Conditions} // the times of their transitions go on
	var at time.Time
	for {
		next := a.nodeStatus(ctx, &sent)
		overdue := a.clock.Since(at) >= tellAnyway
		if overdue && !at.IsZero() {
			have, err := a.api.Node(ctx, a.o.Node)
			if errors.Is(err, events.ErrNotFound) || err == nil && have.UID != node.UID {
				return fmt.Errorf("node %s was deleted: %w", a.o.Node, events.ErrGone) // and is registered anew
			}
		}
		steps := append(pressureSteps(a.o.Node, &sent, next), a.node.takeSteps()...)
		if overdue || a.node.again.Swap(false) || len(steps) > 0 || !next.same(&sent) {
			if err := a.reportNode(node, next, steps, joined); err != nil {
				return err
			}
			sent, at, joined = *next, a.clock.Now(), 0
		}
		select {
		case <-ctx.Done():
			return nil
		case <-a.node.wake:
		case <-ticker.C():
		}
	}
}

// register gives the node as the API has it, and the event that registered it.
func (a *Agent) register(ctx context.Context) (*v1.Node, uint64, error) {
	node := &v1.Node{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"},
		ObjectMeta: metav1.ObjectMeta{Name: a.o.Node, Labels: map[string]string{
			v1.LabelHostname: a.o.Node, v1.LabelOSStable: goruntime.GOOS, v1.LabelArchStable: goruntime.GOARCH,
			"beta.kubernetes.io/os": goruntime.GOOS, "beta.kubernetes.io/arch": goruntime.GOARCH,
		}, Annotations: map[string]string{volume.AnnFolder: a.volumesDir()}},
		Spec: v1.NodeSpec{Taints: a.o.Taints},
	}
	for k, v := range a.o.Labels {
		node.Labels[k] = v
	}
	if a.o.PodCIDR != "" {
		node.Spec.PodCIDR, node.Spec.PodCIDRs = a.o.PodCIDR, []string{a.o.PodCIDR}
	}
	first := a.nodeStatus(ctx, &nodePatch{})
	node.Status = v1.NodeStatus{
		Capacity: first.Capacity, Allocatable: first.Allocatable, Addresses: first.Addresses,
		NodeInfo: first.NodeInfo, Conditions: first.Conditions, Images: first.Images,
	}
	for {
		have, joined, err := a.api.Register(ctx, node)
		if err == nil {
			return have, joined, nil
		}
		a.log.Info("the node isn't registered yet", "err", err)
		a.pause(ctx, registered)
		if ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
	}
}

// nodePatch are the fields of a node's status that its agent owns.
type nodePatch struct {
	Capacity    v1.ResourceList     `json:"capacity"`
	Allocatable v1.ResourceList     `json:"allocatable"`
	Conditions  []v1.NodeCondition  `json:"conditions"`
	Addresses   []v1.NodeAddress    `json:"addresses"`
	NodeInfo    v1.NodeSystemInfo   `json:"nodeInfo"`
	Images      []v1.ContainerImage `json:"images"`

	VolumesInUse []v1.UniqueVolumeName `json:"volumesInUse,omitzero"`
}

// same compares what readers would notice.
func (p *nodePatch) same(q *nodePatch) bool {
	if len(p.Conditions) != len(q.Conditions) || len(p.Images) != len(q.Images) ||
		!slices.Equal(p.VolumesInUse, q.VolumesInUse) || !sameResources(p.Capacity, q.Capacity) || !sameResources(p.Allocatable, q.Allocatable) {
		return false
	}
	for i := range p.Conditions {
		if p.Conditions[i].Status != q.Conditions[i].Status || p.Conditions[i].Message != q.Conditions[i].Message {
			return false
		}
	}
	for i := range p.Images {
		if !slices.Equal(p.Images[i].Names, q.Images[i].Names) {
			return false
		}
	}
	return true
}

func (a *Agent) nodeStatus(ctx context.Context, last *nodePatch) *nodePatch {
	now := metav1.NewTime(a.clock.Now().Truncate(time.Second))
	capacity, allocatable := a.withDevices()
	out := &nodePatch{Capacity: capacity, Allocatable: allocatable, NodeInfo: a.node.info, Images: []v1.ContainerImage{}}
	if a.manager != nil {
		out.VolumesInUse = a.manager.CSI.InUse()
	}
	for _, ip := range a.node.ips {
		out.Addresses = append(out.Addresses, v1.NodeAddress{Type: v1.NodeInternalIP, Address: ip})
	}
	out.Addresses = append(out.Addresses, v1.NodeAddress{Type: v1.NodeHostName, Address: a.o.Node})
	add := func(t v1.NodeConditionType, status v1.ConditionStatus, reason, message string) {
		c := v1.NodeCondition{Type: t, Status: status, Reason: reason, Message: message, LastHeartbeatTime: now, LastTransitionTime: now}
		for _, have := range last.Conditions {
			if have.Type == t && have.Status == status {
				c.LastTransitionTime = have.LastTransitionTime
			}
		}
		out.Conditions = append(out.Conditions, c)
	}
	for _, p := range pressures {
		if a.node.has(p.condition) {
			add(p.condition, v1.ConditionTrue, p.bad, p.badMessage)
		} else {
			add(p.condition, v1.ConditionFalse, p.good, p.goodMessage)
		}
	}
	status, err := a.runtime.Status(ctx)
	switch {
	case err != nil:
		add(v1.NodeReady, v1.ConditionFalse, "KubeletNotReady", "container runtime is down: "+err.Error())
	case !status.RuntimeReady || !status.NetworkReady:
		add(v1.NodeReady, v1.ConditionFalse, "KubeletNotReady", status.Message)
	case a.node.leaves():
		add(v1.NodeReady, v1.ConditionFalse, "KubeletNotReady", "node is shutting down")
	default:
		add(v1.NodeReady, v1.ConditionTrue, "KubeletReady", "kubelet is posting ready status")
	}
	images, err := a.runtime.ListImages(ctx)
	if err != nil {
		return out
	}
	for _, i := range images {
		names := append(slices.Clone(i.RepoDigests), i.RepoTags...)
		if len(names) > 0 {
			out.Images = append(out.Images, v1.ContainerImage{Names: names, SizeBytes: int64(i.Size)})
		}
	}
	slices.SortFunc(out.Images, func(x, y v1.ContainerImage) int {
		if x.SizeBytes != y.SizeBytes {
			return int(y.SizeBytes - x.SizeBytes)
		}
		return slices.Compare(x.Names, y.Names)
	})
	out.Images = out.Images[:min(len(out.Images), mostImages)]
	return out
}

// reportNode tells the node's status and what happened, in answer to an event if
// cause isn't 0.
func (a *Agent) reportNode(node *v1.Node, p *nodePatch, steps []events.Step, cause uint64) error {
	data, err := json.Marshal(map[string]any{"status": p})
	if err != nil {
		return err
	}
	reason, note := "NodeReady", fmt.Sprintf("Node %s status is now: NodeReady", a.o.Node)
	for _, c := range p.Conditions {
		if c.Type == v1.NodeReady && c.Status != v1.ConditionTrue {
			reason, note = "NodeNotReady", c.Message
		}
	}
	if len(steps) > 0 {
		reason, note = events.JoinSteps(steps)
	}
	f := report.Fact{Key: events.Key{Resource: "nodes", Name: a.o.Node}, UID: string(node.UID), Patch: data, Reason: reason, Note: note}
	if cause != 0 {
		f.Cause = []uint64{cause}
	}
	a.reporter.Report(f)
	return nil
}

// removeState takes the node's own files away, and nothing else that may lie in the folder.
func removeState(dir string) error {
	var errs []error
	for _, name := range []string{"pods", "logs", "cni", "registries", pulledFile, devicesDir, "incarnation", "reports.jsonl"} {
		errs = append(errs, os.RemoveAll(dir+"/"+name))
	}
	errs = append(errs, removePluginState(dir))
	return errors.Join(errs...)
}
