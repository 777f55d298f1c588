package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/reckon-project/reckon/agent"
	"github.com/reckon-project/reckon/agent/imagegc"
	"github.com/reckon-project/reckon/agent/shutdown"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// upkeepFlags are how a node looks after itself, under a kubelet's names.
type upkeepFlags struct {
	maxPods        int
	labels         map[string]string
	taints         []string
	nodeIPs        []string
	systemReserved map[string]string
	kubeReserved   map[string]string

	evictionHard, evictionSoft, evictionSoftGrace, evictionReclaim []string
	evictionTransition                                             time.Duration
	evictionMaxGrace                                               int

	imageHigh, imageLow       int
	imageMinAge, imageMaxAge  time.Duration
	pulls                     int
	credentials, credentialIn string
	logSize                   string
	logFiles                  int

	shutdown, shutdownCritical time.Duration

	staticPods    string
	unsafeSysctls []string
}

// The disk's thresholds are lower than a kubelet's 10 and 15 %: a developer's
// disk is often nearly full, and a node that refuses all pods then helps nobody.
var usualEviction = []string{"memory.available<100Mi", "nodefs.available<2%", "nodefs.inodesFree<2%", "imagefs.available<2%", "imagefs.inodesFree<2%"}

func (u *upkeepFlags) add(f *pflag.FlagSet) {
	f.IntVar(&u.maxPods, "max-pods", 250, "how many pods the node takes at most")
	f.StringToStringVar(&u.labels, "node-labels", nil, "labels that the node registers with (NAME=VALUE,...)")
	f.StringSliceVar(&u.taints, "register-with-taints", nil, "taints that the node registers with (KEY=VALUE:EFFECT,...)")
	f.StringSliceVar(&u.nodeIPs, "node-ip", nil, "addresses of the node (default: the machine's first one)")
	f.StringToStringVar(&u.systemReserved, "system-reserved", nil, "what is kept from pods for the machine (cpu=200m,memory=500Mi,ephemeral-storage=1Gi)")
	f.StringToStringVar(&u.kubeReserved, "kube-reserved", nil, "what is kept from pods for the agent and the container runtime")
	f.StringSliceVar(&u.evictionHard, "eviction-hard", usualEviction, "what pods are evicted for at once when less is left (signals: memory.available, nodefs.available, nodefs.inodesFree, imagefs.available, imagefs.inodesFree, pid.available)")
	f.StringSliceVar(&u.evictionSoft, "eviction-soft", nil, "the same, with a grace period")
	f.StringSliceVar(&u.evictionSoftGrace, "eviction-soft-grace-period", nil, "the grace periods of --eviction-soft (memory.available=90s,...)")
	f.StringSliceVar(&u.evictionReclaim, "eviction-minimum-reclaim", nil, "how much more than a threshold must be free again (memory.available=100Mi,...)")
	f.DurationVar(&u.evictionTransition, "eviction-pressure-transition-period", 5*time.Minute, "how long the node's condition stays after the pressure is gone")
	f.IntVar(&u.evictionMaxGrace, "eviction-max-pod-grace-period", 0, "seconds that a pod may take to end when a soft threshold is crossed")
	f.IntVar(&u.imageHigh, "image-gc-high-threshold", 85, "percent of the disk above which images that this node pulled and nobody uses are removed")
	f.IntVar(&u.imageLow, "image-gc-low-threshold", 80, "percent of the disk to which they are removed")
	f.DurationVar(&u.imageMinAge, "minimum-image-ttl-duration", 2*time.Minute, "age below which images aren't removed")
	f.DurationVar(&u.imageMaxAge, "image-maximum-gc-age", 0, "how long images may be unused, however much space there is (0: for ever)")
	f.IntVar(&u.pulls, "max-parallel-image-pulls", 5, "how many images are pulled at once")
	f.StringVar(&u.credentials, "image-credential-provider-config", "", "a CredentialProviderConfig (kubelet.config.k8s.io/v1) with programs that give credentials for registries")
	f.StringVar(&u.credentialIn, "image-credential-provider-bin-dir", "", "folder of those programs")
	f.StringVar(&u.logSize, "container-log-max-size", "10Mi", "size above which a container's log is put aside")
	f.DurationVar(&u.shutdown, "shutdown-grace-period", 0, "how long pods may take to end when the machine is shut down, which SIGPWR says (0: they aren't ended)")
	f.DurationVar(&u.shutdownCritical, "shutdown-grace-period-critical-pods", 0, "the part of it that is kept for critical pods, which end last")
	f.StringVar(&u.staticPods, "pod-manifest-path", "", "folder with files of pods that the node runs by itself (static pods)")
	f.StringSliceVar(&u.unsafeSysctls, "allowed-unsafe-sysctls", nil, "sysctls that pods may set beside the safe ones (net.core.somaxconn,kernel.msg*,...)")
	f.IntVar(&u.logFiles, "container-log-max-files", 5, "how many log files there are of a container, with the newest")
}

// apply sets an agent's options.
func (u *upkeepFlags) apply(o *agent.Options) (err error) {
	o.MaxPods, o.Labels, o.NodeIPs = u.maxPods, u.labels, u.nodeIPs
	if o.Taints, err = parseTaints(u.taints); err != nil {
		return err
	}
	k := &o.Upkeep
	if k.SystemReserved, err = reserved("system-reserved", u.systemReserved); err != nil {
		return err
	}
	if k.KubeReserved, err = reserved("kube-reserved", u.kubeReserved); err != nil {
		return err
	}
	for _, each := range []struct {
		flag, sign string
		from       []string
		to         *map[string]string
	}{
		{"eviction-hard", "<", u.evictionHard, &k.Eviction.Hard}, {"eviction-soft", "<", u.evictionSoft, &k.Eviction.Soft},
		{"eviction-soft-grace-period", "=", u.evictionSoftGrace, &k.Eviction.SoftGrace}, {"eviction-minimum-reclaim", "=", u.evictionReclaim, &k.Eviction.MinimumReclaim},
	} {
		if *each.to, err = pairs(each.flag, each.sign, each.from); err != nil {
			return err
		}
	}
	if _, err := k.Eviction.Parse(); err != nil {
		return fmt.Errorf("the eviction flags: %w", err)
	}
	k.EvictionTransition, k.EvictionMaxGrace = u.evictionTransition, time.Duration(u.evictionMaxGrace)*time.Second
	if u.imageLow >= u.imageHigh || u.imageLow < 0 || u.imageHigh > 100 {
		return fmt.Errorf("--image-gc-low-threshold %d must be below --image-gc-high-threshold %d, both from 0 to 100", u.imageLow, u.imageHigh)
	}
	k.Images = imagegc.Policy{High: u.imageHigh, Low: u.imageLow, MinAge: u.imageMinAge, MaxAge: u.imageMaxAge}
	k.Pulls, k.CredentialConfig, k.CredentialBin = u.pulls, u.credentials, u.credentialIn
	if u.shutdownCritical > u.shutdown {
		return fmt.Errorf("--shutdown-grace-period-critical-pods %s is a part of --shutdown-grace-period %s", u.shutdownCritical, u.shutdown)
	}
	size, err := resource.ParseQuantity(u.logSize)
	if err != nil || size.Sign() <= 0 {
		return fmt.Errorf("--container-log-max-size %q isn't a size, as 10Mi is", u.logSize)
	}
	if u.logFiles < 2 {
		return fmt.Errorf("--container-log-max-files must be 2 at least, not %d", u.logFiles)
	}
	k.LogSize, k.LogFiles = size.Value(), u.logFiles
	if u.staticPods != "" {
		if o.StaticPodDir, err = filepath.Abs(u.staticPods); err != nil {
			return fmt.Errorf("--pod-manifest-path: %w", err)
		}
	}
	o.UnsafeSysctls, err = sysctls(u.unsafeSysctls)
	return err
}

func (u *upkeepFlags) periods() []shutdown.Period {
	return shutdown.Periods(u.shutdown, u.shutdownCritical)
}

func reserved(flag string, from map[string]string) (corev1.ResourceList, error) {
	out := corev1.ResourceList{}
	for name, text := range from {
		q, err := resource.ParseQuantity(text)
		switch {
		case err != nil || q.Sign() < 0:
			return nil, fmt.Errorf("--%s: %s=%q isn't an amount", flag, name, text)
		case name != "cpu" && name != "memory" && name != "ephemeral-storage":
			return nil, fmt.Errorf("--%s: %s can't be reserved (but cpu, memory and ephemeral-storage can)", flag, name)
		}
		out[corev1.ResourceName(name)] = q
	}
	return out, nil
}

// sysctls are those that a pod can set for itself alone: all others are the machine's.
func sysctls(from []string) ([]string, error) {
	own := []string{"kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.", "net."}
	for _, name := range from {
		if i := strings.IndexByte(name, '*'); (i >= 0 && i != len(name)-1) || !slices.ContainsFunc(own, func(p string) bool { return strings.HasPrefix(name, p) }) {
			return nil, fmt.Errorf("--allowed-unsafe-sysctls: %q isn't a sysctl of namespaces (kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.*, net.*), or has a * that isn't its end", name)
		}
	}
	return from, nil
}

func pairs(flag, sign string, from []string) (map[string]string, error) {
	out := map[string]string{}
	for _, text := range from {
		if text == "" {
			continue // --eviction-hard= switches all off
		}
		name, value, ok := strings.Cut(text, sign)
		if _, twice := out[name]; !ok || twice || value == "" {
			return nil, fmt.Errorf("--%s: %q isn't SIGNAL%sVALUE, once for each signal", flag, text, sign)
		}
		out[name] = value
	}
	return out, nil
}

func parseTaints(from []string) (out []corev1.Taint, err error) {
	for _, text := range from {
		rest, effect, ok := strings.Cut(text, ":")
		key, value, _ := strings.Cut(rest, "=")
		switch t := corev1.TaintEffect(effect); {
		case !ok || key == "":
			return nil, fmt.Errorf("--register-with-taints: %q isn't KEY=VALUE:EFFECT", text)
		case t != corev1.TaintEffectNoSchedule && t != corev1.TaintEffectPreferNoSchedule && t != corev1.TaintEffectNoExecute:
			return nil, fmt.Errorf("--register-with-taints: %q: there is no effect %q", text, effect)
		default:
			out = append(out, corev1.Taint{Key: key, Value: value, Effect: t})
		}
	}
	return out, nil
}
