package machine

import (
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

const hugePages = "/sys/kernel/mm/hugepages"

// Capacity is what the machine has for a node whose files are in dir.
func Capacity(p Proc, dir string, pods int) (v1.ResourceList, error) {
	memory, err := p.Memory()
	if err != nil {
		return nil, err
	}
	out := v1.ResourceList{
		v1.ResourceCPU:    *resource.NewQuantity(int64(goruntime.NumCPU()), resource.DecimalSI),
		v1.ResourceMemory: *resource.NewQuantity(memory.Total, resource.BinarySI),
		v1.ResourcePods:   *resource.NewQuantity(int64(pods), resource.DecimalSI),
	}
	if fs, err := Disk(dir); err == nil {
		out[v1.ResourceEphemeralStorage] = *resource.NewQuantity(fs.Capacity, resource.BinarySI)
	}
	sizes, err := filepath.Glob(hugePages + "/hugepages-*kB")
	if err != nil {
		return nil, err
	}
	for _, dir := range sizes {
		size, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(dir), "hugepages-"), "kB"), 10, 64)
		if err != nil {
			continue
		}
		n, err := readNumber(filepath.Join(dir, "nr_hugepages"))
		if err != nil {
			return nil, err
		}
		name := v1.ResourceName(v1.ResourceHugePagesPrefix + resource.NewQuantity(size<<10, resource.BinarySI).String())
		out[name] = *resource.NewQuantity(n*size<<10, resource.BinarySI)
	}
	return out, nil
}

// Allocatable is what of a capacity pods may request: less is what is kept from
// them. Huge pages can't be had as other memory.
func Allocatable(capacity v1.ResourceList, less ...v1.ResourceList) v1.ResourceList {
	out := capacity.DeepCopy()
	take := func(name v1.ResourceName, q resource.Quantity) {
		have, ok := out[name]
		if !ok {
			return
		}
		have.Sub(q)
		if have.Sign() < 0 {
			have = *resource.NewQuantity(0, have.Format)
		}
		out[name] = have
	}
	for _, l := range less {
		for name, q := range l {
			take(name, q)
		}
	}
	for name, q := range capacity {
		if strings.HasPrefix(string(name), v1.ResourceHugePagesPrefix) {
			take(v1.ResourceMemory, q)
		}
	}
	return out
}
