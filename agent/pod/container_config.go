package pod

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"

	v1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/runtime"
	"github.com/reckon-project/reckon/agent/volume"
)

const annotationImage = "reckon.dev/image" // as the spec named it, to see when it changes

// containerInput is all that a container's configuration is made of.
type containerInput struct {
	pod     *v1.Pod // with its addresses in its status
	spec    *v1.Container
	target  string // the id of the container whose processes this one shares; "" is none
	image   *cri.Image
	attempt uint32
	volumes map[string]volume.Mounted
	images  map[string]*cri.Image // of image volumes, by the volume's name
	hosts   string                // path of the hosts file; "" mounts none
}

func (h *Host) containerConfig(in containerInput) (*cri.ContainerConfig, error) {
	pod, c := in.pod, in.spec
	environment, err := makeEnvironment(pod, c, h.Objects, h.Allocatable)
	if err != nil {
		return nil, err
	}
	memory := h.Allocatable[v1.ResourceMemory]
	security, err := securityContext(pod, c, in.image)
	if err != nil {
		return nil, err
	}
	if in.target != "" && security.NamespaceOptions.Pid == cri.NamespaceMode_CONTAINER {
		security.NamespaceOptions.Pid, security.NamespaceOptions.TargetId = cri.NamespaceMode_TARGET, in.target
	}
	config := &cri.ContainerConfig{
		Metadata:   &cri.ContainerMetadata{Name: c.Name, Attempt: in.attempt},
		Image:      &cri.ImageSpec{Image: c.Image, UserSpecifiedImage: c.Image},
		WorkingDir: c.WorkingDir,
		Envs:       environment.list(),
		Labels: map[string]string{
			runtime.LabelPodName: pod.Name, runtime.LabelPodNamespace: pod.Namespace,
			runtime.LabelPodUID: string(pod.UID), runtime.LabelContainerName: c.Name,
		},
		Annotations: map[string]string{annotationImage: c.Image},
		Stdin:       c.Stdin, StdinOnce: c.StdinOnce, Tty: c.TTY,
		Linux: &cri.LinuxContainerConfig{
			Resources:       linuxResources(pod, c, memory.Value()),
			SecurityContext: security,
		},
	}
	if in.image != nil && in.image.Id != "" {
		config.Image.Image = in.image.Id
	}
	if l := c.Lifecycle; l != nil && l.StopSignal != nil {
		config.StopSignal = cri.Signal(cri.Signal_value[string(*l.StopSignal)])
	}
	for _, s := range c.Command {
		config.Command = append(config.Command, Expand(s, environment.lookup))
	}
	for _, s := range c.Args {
		config.Args = append(config.Args, Expand(s, environment.lookup))
	}
	if h.Dir == "" { // pretended containers keep no files
		return config, nil
	}
	config.LogPath = LogPath(c.Name, in.attempt)
	if err := os.MkdirAll(filepath.Join(LogDir(h.Dir, pod), c.Name), 0o755); err != nil {
		return nil, err
	}
	if config.Mounts, err = h.mounts(in, environment); err != nil {
		return nil, err
	}
	if config.Devices, err = devices(in); err != nil {
		return nil, err
	}
	if in.hosts != "" && !slices.ContainsFunc(c.VolumeMounts, func(m v1.VolumeMount) bool { return filepath.Clean(m.MountPath) == "/etc/hosts" }) {
		config.Mounts = append(config.Mounts, &cri.Mount{ContainerPath: "/etc/hosts", HostPath: in.hosts})
	}
	message, err := h.terminationFile(pod, c, in.attempt)
	if err != nil {
		return nil, err
	}
	if message != "" {
		config.Mounts = append(config.Mounts, &cri.Mount{ContainerPath: c.TerminationMessagePath, HostPath: message})
	}
	return config, nil
}

// LogPath is a container's log file below its pod's LogDir.
func LogPath(container string, attempt uint32) string {
	return filepath.Join(container, strconv.FormatUint(uint64(attempt), 10)+".log")
}

func terminationPath(root string, pod *v1.Pod, container string, attempt uint32) string {
	return filepath.Join(filesDir(root, string(pod.UID)), "containers", container, strconv.FormatUint(uint64(attempt), 10))
}

// terminationFile makes the file that the container may leave its last words in.
func (h *Host) terminationFile(pod *v1.Pod, c *v1.Container, attempt uint32) (string, error) {
	if c.TerminationMessagePath == "" {
		return "", nil
	}
	path := terminationPath(h.Dir, pod, c.Name, attempt)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	return path, os.Chmod(path, 0o666) // whatever user the container runs as
}
