package machine_test

import (
	"os"
	"path/filepath"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/reckon-project/reckon/agent/machine"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReadings(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/meminfo", "MemTotal:       1000 kB\nMemFree:  300 kB\nMemAvailable: 900 kB\nInactive(file): 50 kB\nSwapTotal: 7 kB\nHugePages_Total: 0\n")
	write(t, dir+"/loadavg", "8.86 4.26 3.15 11/178 6081\n")
	write(t, dir+"/sys/kernel/pid_max", "32768\n")
	write(t, dir+"/sys/kernel/threads-max", "192730\n")
	write(t, dir+"/cgroup/pids/reckon/podx/pids.current", "12\n")
	p := machine.Proc(dir)
	m, err := p.Memory()
	if want := (machine.Memory{Total: 1000 << 10, Available: 350 << 10, Swap: 7 << 10}); err != nil || m != want {
		t.Errorf("memory is %+v, %v", m, err)
	}
	left, most, err := p.PIDs()
	if err != nil || left != 32590 || most != 32768 {
		t.Errorf("tasks are %d of %d, %v", left, most, err)
	}
	if n := machine.Cgroups(dir + "/cgroup").PIDs("/reckon/podx"); n != 12 {
		t.Errorf("a cgroup has %d tasks", n)
	}
	if _, err := machine.Proc(dir + "/none").Memory(); err == nil {
		t.Error("a machine that tells nothing has memory")
	}
}

func TestUse(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/a/file", string(make([]byte, 100_000)))
	if err := os.Link(dir+"/a/file", dir+"/again"); err != nil {
		t.Fatal(err)
	}
	used, err := machine.Use(dir)
	if err != nil || used.Bytes < 100_000 || used.Bytes > 150_000 || used.Inodes != 3 {
		t.Errorf("used is %+v, %v", used, err)
	}
	if used, err := machine.Use(dir + "/none"); err != nil || used != (machine.Used{}) {
		t.Errorf("what isn't there uses %+v, %v", used, err)
	}
	if d, err := machine.Disk(dir); err != nil || d.Capacity <= 0 || d.Available > d.Capacity {
		t.Errorf("the disk is %+v, %v", d, err)
	}
}

func TestAllocatable(t *testing.T) {
	list := func(pairs ...string) v1.ResourceList {
		out := v1.ResourceList{}
		for i := 0; i < len(pairs); i += 2 {
			out[v1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
		}
		return out
	}
	got := machine.Allocatable(list("cpu", "2", "memory", "10Gi", "hugepages-2Mi", "1Gi", "pods", "110"),
		list("cpu", "200m", "memory", "1Gi", "ephemeral-storage", "1Gi"), list("cpu", "100m", "memory", "100Mi"))
	for name, want := range list("cpu", "1700m", "memory", "8092Mi", "hugepages-2Mi", "1Gi", "pods", "110") {
		if q := got[name]; q.Cmp(want) != 0 {
			t.Errorf("%s is %s, want %s", name, q.String(), want.String())
		}
	}
	if len(got) != 4 {
		t.Errorf("got %v", got)
	}
	if q := machine.Allocatable(list("cpu", "1"), list("cpu", "2"))[v1.ResourceCPU]; !q.IsZero() {
		t.Errorf("less than nothing is %s", q.String())
	}
}
