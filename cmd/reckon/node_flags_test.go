package main

import (
	"strings"
	"testing"
	"time"

	"github.com/reckon-project/reckon/agent"
	"github.com/spf13/pflag"
)

func parseUpkeep(t *testing.T, args ...string) (agent.Options, error) {
	t.Helper()
	var u upkeepFlags
	f := pflag.NewFlagSet("node", pflag.ContinueOnError)
	u.add(f)
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	var o agent.Options
	return o, u.apply(&o)
}

func TestUpkeepFlags(t *testing.T) {
	var u upkeepFlags
	f := pflag.NewFlagSet("node", pflag.ContinueOnError)
	u.add(f)
	if err := f.Parse([]string{
		"--system-reserved=cpu=200m,memory=1Gi", "--eviction-soft=memory.available<10%,nodefs.available<5Gi",
		"--eviction-soft-grace-period=memory.available=90s,nodefs.available=2m", "--register-with-taints=dedicated=gpu:NoSchedule,x:NoExecute",
		"--node-labels=disk=ssd", "--container-log-max-size=1Mi",
		"--pod-manifest-path=/etc/pods/", "--allowed-unsafe-sysctls=net.core.somaxconn,kernel.msg*",
	}); err != nil {
		t.Fatal(err)
	}
	var o agent.Options
	if err := u.apply(&o); err != nil {
		t.Fatal(err)
	}
	k := o.Upkeep
	if k.SystemReserved.Cpu().MilliValue() != 200 || k.Eviction.Hard["memory.available"] != "100Mi" || k.Eviction.Soft["memory.available"] != "10%" ||
		k.EvictionTransition != 5*time.Minute || k.LogSize != 1<<20 || k.Images.High != 85 || len(o.Taints) != 2 || o.Taints[1].Key != "x" || o.Labels["disk"] != "ssd" {
		t.Errorf("got %+v", o)
	}
	if o.StaticPodDir != "/etc/pods" || len(o.UnsafeSysctls) != 2 || o.UnsafeSysctls[1] != "kernel.msg*" {
		t.Errorf("got static pods %q, sysctls %q", o.StaticPodDir, o.UnsafeSysctls)
	}
	for _, bad := range []string{
		"--eviction-hard=memory.available=1", "--eviction-hard=memory<1Gi", "--eviction-soft=memory.available<1Gi", "--system-reserved=gpu=1", "--kube-reserved=cpu=many",
		"--image-gc-low-threshold=90", "--container-log-max-files=1", "--container-log-max-size=big", "--register-with-taints=a=b", "--register-with-taints=a=b:Never",
		"--allowed-unsafe-sysctls=vm.swappiness", "--allowed-unsafe-sysctls=net.*.somaxconn", "--allowed-unsafe-sysctls=*",
	} {
		if _, err := parseUpkeep(t, bad); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	if o, err := parseUpkeep(t, "--eviction-hard="); err != nil || len(o.Upkeep.Eviction.Hard) != 0 {
		t.Errorf("switched off: %v, %v", o.Upkeep.Eviction.Hard, err)
	}
	if !strings.Contains(f.Lookup("eviction-hard").Usage, "pid.available") {
		t.Error("the signals aren't told")
	}
}
