package device

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	prestartWithin = api.KubeletPreStartContainerRPCTimeoutInSecs * time.Second
	allocateWithin = time.Minute // a plugin that hangs must not keep other pods waiting for ever
)

// given is what a container got of one resource.
type given struct {
	Devices []string                       `json:"devices"`
	Answer  *api.ContainerAllocateResponse `json:"answer"`
}

// Admit takes the devices that a pod's containers want. It may be called again
// for a pod that got them.
func (m *Manager) Admit(ctx context.Context, pod *v1.Pod) error {
	if !m.wanted(pod) {
		return nil // however long a plugin takes for another pod
	}
	m.serving.Lock()
	defer m.serving.Unlock()
	uid, reuse, took := string(pod.UID), map[string][]string{}, false
	for _, list := range [][]v1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			c := &list[i]
			ends := i < len(pod.Spec.InitContainers) && &list[i] == &pod.Spec.InitContainers[i] && (c.RestartPolicy == nil || *c.RestartPolicy != v1.ContainerRestartPolicyAlways)
			for _, name := range slices.Sorted(maps.Keys(c.Resources.Limits)) {
				q := c.Resources.Limits[name]
				got, isNew, err := m.allocate(ctx, uid, c.Name, string(name), int(q.Value()), reuse[string(name)])
				if err != nil {
					return errors.Join(err, m.Release(uid))
				}
				took = took || isNew
				if got == nil {
					continue
				}
				if ends {
					reuse[string(name)] = append(reuse[string(name)], got.Devices...)
				} else {
					reuse[string(name)] = slices.DeleteFunc(reuse[string(name)], func(id string) bool { return slices.Contains(got.Devices, id) })
				}
			}
		}
	}
	if !took {
		return nil
	}
	return m.write()
}

// wanted reports whether a pod asks for what plugins offer.
func (m *Manager) wanted(pod *v1.Pod) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, list := range [][]v1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			for name := range list[i].Resources.Limits {
				if m.offers[string(name)] != nil {
					return true
				}
			}
		}
	}
	return false
}

// allocate gives a container devices of one resource, or those that it got before.
func (m *Manager) allocate(ctx context.Context, uid, container, name string, n int, reuse []string) (got *given, isNew bool, err error) {
	m.mu.Lock()
	if got := m.given[uid][container][name]; got != nil {
		m.mu.Unlock()
		return got, false, nil
	}
	o := m.offers[name]
	if o == nil || n <= 0 {
		m.mu.Unlock()
		return nil, false, nil // not a device, or not here: the node's room for it is somebody else's to count
	}
	used := map[string]bool{}
	for _, containers := range m.given {
		for _, resources := range containers {
			if g := resources[name]; g != nil {
				for _, id := range g.Devices {
					used[id] = true
				}
			}
		}
	}
	healthy := o.healthy()
	must := slices.DeleteFunc(slices.Clone(reuse), func(id string) bool { return !slices.Contains(healthy, id) })
	must = must[:min(len(must), n)]
	free := slices.Clone(must)
	for _, id := range healthy {
		if !used[id] {
			free = append(free, id)
		}
	}
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, allocateWithin)
	defer cancel()
	if len(free) < n || o.client == nil {
		return nil, false, fmt.Errorf("requested number of devices unavailable for %s. Requested: %d, Available: %d", name, n, len(free))
	}
	ids := prefer(ctx, o, free, must, n)
	r, err := o.client.Allocate(ctx, &api.AllocateRequest{ContainerRequests: []*api.ContainerAllocateRequest{{DevicesIds: ids}}})
	if err != nil {
		return nil, false, err
	}
	if len(r.ContainerResponses) != 1 {
		return nil, false, fmt.Errorf("no containers return in allocation response %v", r)
	}
	got = &given{Devices: ids, Answer: r.ContainerResponses[0]}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.given[uid] == nil {
		m.given[uid] = map[string]map[string]*given{}
	}
	if m.given[uid][container] == nil {
		m.given[uid][container] = map[string]*given{}
	}
	m.given[uid][container][name] = got
	return got, true, nil
}

// prefer chooses devices, asking the plugin if it wants to be.
func prefer(ctx context.Context, o *offer, free, must []string, n int) []string {
	if o.options.GetPreferredAllocationAvailable {
		r, err := o.client.GetPreferredAllocation(ctx, &api.PreferredAllocationRequest{ContainerRequests: []*api.ContainerPreferredAllocationRequest{
			{AvailableDeviceIDs: free, MustIncludeDeviceIDs: must, AllocationSize: int32(n)}}})
		if err == nil && len(r.ContainerResponses) == 1 {
			ids := slices.DeleteFunc(slices.Clone(r.ContainerResponses[0].DeviceIDs), func(id string) bool { return !slices.Contains(free, id) })
			slices.Sort(ids)
			if ids = slices.Compact(ids); len(ids) == n {
				return ids
			}
		}
	}
	return free[:n]
}

// Equipment is what a container's devices bring along.
type Equipment struct {
	Envs        []*cri.KeyValue
	Mounts      []*cri.Mount
	Devices     []*cri.Device
	CDI         []*cri.CDIDevice
	Annotations map[string]string
}

// Equip gives what a container got, and has its plugins prepare it if they want to.
func (m *Manager) Equip(ctx context.Context, uid, container string) (Equipment, error) {
	out := Equipment{Annotations: map[string]string{}}
	m.mu.Lock()
	all, offers := maps.Clone(m.given[uid][container]), maps.Clone(m.offers)
	m.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		g := all[name]
		if o := offers[name]; o != nil && o.client != nil && o.options.PreStartRequired {
			ctx, cancel := context.WithTimeout(ctx, prestartWithin)
			_, err := o.client.PreStartContainer(ctx, &api.PreStartContainerRequest{DevicesIds: g.Devices})
			cancel()
			if err != nil {
				return out, fmt.Errorf("device plugin PreStartContainer rpc failed with err: %w", err)
			}
		}
		for _, k := range slices.Sorted(maps.Keys(g.Answer.Envs)) {
			out.Envs = append(out.Envs, &cri.KeyValue{Key: k, Value: []byte(g.Answer.Envs[k])})
		}
		for _, v := range g.Answer.Mounts {
			out.Mounts = append(out.Mounts, &cri.Mount{ContainerPath: v.ContainerPath, HostPath: v.HostPath, Readonly: v.ReadOnly})
		}
		for _, d := range g.Answer.Devices {
			out.Devices = append(out.Devices, &cri.Device{ContainerPath: d.ContainerPath, HostPath: d.HostPath, Permissions: d.Permissions})
		}
		for _, d := range g.Answer.CdiDevices {
			out.CDI = append(out.CDI, &cri.CDIDevice{Name: d.Name})
		}
		maps.Copy(out.Annotations, g.Answer.Annotations)
	}
	return out, nil
}

// Release takes back what a pod got.
func (m *Manager) Release(uid string) error {
	m.mu.Lock()
	_, had := m.given[uid]
	delete(m.given, uid)
	m.mu.Unlock()
	if !had {
		return nil
	}
	return m.write()
}
