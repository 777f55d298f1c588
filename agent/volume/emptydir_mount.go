package volume

import (
	"fmt"
	"os"
	"strings"

	"github.com/moby/sys/mountinfo"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/reckon-project/reckon/events"
)

// mountEmptyDir makes the folder once: its mode and group are then the pod's own to change.
func (m *Manager) mountEmptyDir(path string, pod *v1.Pod, s *v1.EmptyDirVolumeSource) error {
	if s.Medium == v1.StorageMediumDefault {
		return makeEmptyDir(path, pod)
	}
	if err := os.MkdirAll(path, 0o777); err != nil {
		return err
	}
	mounted, err := mountinfo.Mounted(path)
	if err != nil || mounted {
		return err
	}
	switch {
	case s.Medium == v1.StorageMediumMemory:
		options := "mode=0777"
		if size := memorySize(m.Allocatable, pod, s); size != nil {
			options += fmt.Sprintf(",size=%d", size.Value())
		}
		if err := mountMemory(path, options); err != nil {
			return err
		}
	case strings.HasPrefix(string(s.Medium), string(v1.StorageMediumHugePages)):
		size, err := pageSize(pod, s.Medium)
		if err != nil {
			return err
		}
		if err := mountOnce("nodev", path, "hugetlbfs", fmt.Sprintf("pagesize=%d", size.Value())); err != nil {
			return err
		}
	default:
		return failf(events.ErrInvalid, "unknown storage medium %q", s.Medium)
	}
	return open(path, pod)
}

// makeEmptyDir makes the folder under another name first, so that one that is there is complete.
func makeEmptyDir(path string, pod *v1.Pod) error {
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return nil
	}
	made := path + ".new" // no volume's name has a dot
	if err := os.MkdirAll(made, 0o777); err != nil {
		return err
	}
	if err := open(made, pod); err != nil {
		return err
	}
	return os.Rename(made, path)
}

// open lets everybody write to a folder, and its group be the pod's.
func open(path string, pod *v1.Pod) error {
	mode := os.FileMode(0o777)
	if group := fsGroup(pod); group != nil {
		if err := os.Lchown(path, -1, int(*group)); err != nil {
			return err
		}
		mode |= os.ModeSetgid
	}
	return os.Chmod(path, mode) // whatever the umask
}

// memorySize is the least of the node's memory, the pod's limit and the
// volume's own; nil: there is no bound.
func memorySize(allocatable v1.ResourceList, pod *v1.Pod, s *v1.EmptyDirVolumeSource) *resource.Quantity {
	var size *resource.Quantity
	least := func(q *resource.Quantity) {
		if q != nil && q.Sign() > 0 && (size == nil || q.Cmp(*size) < 0) {
			size = q
		}
	}
	least(allocatable.Memory())
	if limited(pod) {
		limits := resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{})
		least(limits.Memory())
	}
	least(s.SizeLimit)
	return size
}

// limited reports that every container of the pod, or the pod, has a memory limit.
func limited(pod *v1.Pod) bool {
	if r := pod.Spec.Resources; r != nil && !r.Limits.Memory().IsZero() {
		return true
	}
	for _, all := range [][]v1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range all {
			if all[i].Resources.Limits.Memory().IsZero() {
				return false
			}
		}
	}
	return true
}

// pageSize is the size that a medium names (HugePages-2Mi), or the only one that
// the pod's containers ask for.
func pageSize(pod *v1.Pod, medium v1.StorageMedium) (resource.Quantity, error) {
	if name, ok := strings.CutPrefix(string(medium), string(v1.StorageMediumHugePagesPrefix)); ok {
		size, err := resource.ParseQuantity(name)
		if err != nil {
			return size, failf(events.ErrInvalid, "medium %q: %v", medium, err)
		}
		return size, nil
	}
	found := ""
	for name := range resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{}) {
		page, ok := strings.CutPrefix(string(name), v1.ResourceHugePagesPrefix)
		if !ok {
			continue
		}
		if found != "" {
			return resource.Quantity{}, failf(events.ErrInvalid, "medium %s can't be used with multiple huge page sizes", medium)
		}
		found = page
	}
	if found == "" {
		return resource.Quantity{}, failf(events.ErrInvalid, "no hugepages were requested by pod %s", pod.Name)
	}
	return resource.ParseQuantity(found)
}
