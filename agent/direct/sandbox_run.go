package direct

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/typeurl/v2"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/runtime"
	"github.com/reckon-project/reckon/events"
)

const (
	ownerFile = "owner" // in a folder of namespaces: who has it
	shmSize   = "size=67108864,mode=1777"

	usualHandler = "runc" // as CRI's configuration calls it
)

// owner is what is needed to give a sandbox's addresses back if the agent ends
// before there is a record of it.
type owner struct {
	ID     string
	Config []byte
}

// identify names what there is once per pod, container and attempt: a second
// try of the same finds the first.
func identify(parts ...any) string {
	sum := sha256.Sum256(fmt.Append(nil, parts...))
	return hex.EncodeToString(sum[:])
}

// RunSandbox implements runtime.Runtime.
func (r *Runtime) RunSandbox(ctx context.Context, config *runtimeapi.PodSandboxConfig) (string, error) {
	ctx = inNamespace(ctx)
	m := config.Metadata
	id := identify(r.o.Dir, "\x00", m.Uid, "\x00", m.Attempt)
	if r.find(id) != nil {
		return "", fmt.Errorf("run the sandbox of %s/%s: %w", m.Namespace, m.Name, events.ErrExists)
	}
	if handler := config.Annotations[runtime.AnnotationHandler]; handler != "" && handler != usualHandler {
		return "", fmt.Errorf("%w: no runtime for %q is configured", events.ErrInvalid, handler)
	}
	if o := config.GetLinux().GetSecurityContext().GetNamespaceOptions().GetUsernsOptions(); o.GetMode() == runtimeapi.NamespaceMode_POD && o != nil {
		return "", fmt.Errorf("%w: user namespaces aren't supported on this node", events.ErrInvalid)
	}
	s := &making{r: r, id: id, config: config}
	if err := s.run(ctx); err != nil {
		return "", errors.Join(fmt.Errorf("run the sandbox of %s/%s: %w", m.Namespace, m.Name, err), s.undo(context.WithoutCancel(ctx)))
	}
	return id, nil
}

// making is a sandbox that isn't there yet.
type making struct {
	r        *Runtime
	id       string
	config   *runtimeapi.PodSandboxConfig
	dir      string // of namespaces
	attached bool
	kept     bool
}

func (s *making) run(ctx context.Context) error {
	a := about{Attached: s.id}
	var err error
	if a.Config, err = proto.Marshal(s.config); err != nil {
		return err
	}
	files := make(chan error, 1)
	go func() { files <- s.r.makeFiles(s.id, s.config) }()
	err = s.connect(ctx, &a)
	if err := errors.Join(err, <-files); err != nil {
		return err
	}
	a.Pause = needsPause(s.config)
	a.Namespaces = s.dir
	c := containers.Container{ID: s.id, Labels: map[string]string{
		labelKind: kindSandbox, labelReady: "true", runtime.LabelPodUID: s.config.Metadata.Uid,
	}}
	if c.Spec, err = typeurl.MarshalAny(&specs.Spec{}); err != nil { // containerd wants one
		return err
	}
	var pause *image
	if a.Pause {
		if pause, err = s.r.preparePause(ctx, &c, s.config, s.dir); err != nil {
			return err
		}
	}
	rec, err := s.r.keep(ctx, c, a)
	if err != nil {
		return classify(err, "keep it")
	}
	s.kept = true
	if a.Pause {
		return s.r.startPause(ctx, rec, pause)
	}
	return nil
}

// connect gives the sandbox namespaces and a network.
func (s *making) connect(ctx context.Context, a *about) (err error) {
	options := s.config.GetLinux().GetSecurityContext().GetNamespaceOptions()
	host := options.GetNetwork() == runtimeapi.NamespaceMode_NODE
	switch {
	case !host:
		s.dir, err = s.r.pool.take()
	case options.GetIpc() != runtimeapi.NamespaceMode_NODE:
		s.dir = s.r.pool.newDir()
		err = makeNamespaces(s.dir, false)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	data, err := json.Marshal(owner{ID: s.id, Config: a.Config})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dir, ownerFile), data, 0o600); err != nil {
		return err
	}
	if options.GetIpc() == runtimeapi.NamespaceMode_NODE {
		if err := unix.Unmount(filepath.Join(s.dir, pinIPC), unix.MNT_DETACH); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(s.dir, pinIPC)); err != nil {
			return err
		}
	}
	if err := adaptNamespaces(s.dir, s.hostname(host), s.config.GetLinux().GetSysctls()); err != nil {
		return err
	}
	if host {
		return nil
	}
	s.attached = true
	a.IPs, err = s.r.network.attach(ctx, s.id, s.dir, s.config)
	return err
}

func (s *making) hostname(host bool) string {
	if host {
		return ""
	}
	return s.config.Hostname
}

func (s *making) undo(ctx context.Context) error {
	if s.kept {
		return s.r.RemoveSandbox(ctx, s.id)
	}
	var errs []error
	if s.attached {
		errs = append(errs, s.r.network.detach(ctx, s.id, s.dir, s.config))
	}
	if s.dir != "" {
		errs = append(errs, removeNamespaces(s.dir))
	}
	return errors.Join(append(errs, s.r.removeFiles(s.id), s.r.removeSnapshot(ctx, s.id))...)
}

func (r *Runtime) sandboxDir(id string) string { return filepath.Join(r.o.Dir, dirSandboxes, id) }

// makeFiles writes what all of a pod's containers mount, and makes their cgroup.
func (r *Runtime) makeFiles(id string, config *runtimeapi.PodSandboxConfig) error {
	if err := makeCgroup(config.GetLinux().GetCgroupParent()); err != nil {
		return err
	}
	dir := r.sandboxDir(id)
	if err := os.MkdirAll(filepath.Join(dir, "shm"), 0o755); err != nil {
		return err
	}
	name := config.Hostname
	if name == "" {
		var err error
		if name, err = os.Hostname(); err != nil {
			return err
		}
	}
	resolv := resolvConf(config.DnsConfig)
	if resolv == nil {
		var err error
		if resolv, err = os.ReadFile("/etc/resolv.conf"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	hosts, err := os.ReadFile("/etc/hosts")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for file, data := range map[string][]byte{"hostname": []byte(name + "\n"), "resolv.conf": resolv, "hosts": hosts} {
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o644); err != nil {
			return err
		}
	}
	if config.GetLinux().GetSecurityContext().GetNamespaceOptions().GetIpc() == runtimeapi.NamespaceMode_NODE {
		return nil
	}
	if err := unix.Mount("shm", filepath.Join(dir, "shm"), "tmpfs", unix.MS_NOEXEC|unix.MS_NOSUID|unix.MS_NODEV, shmSize); err != nil {
		return fmt.Errorf("mount shared memory: %w", err)
	}
	return nil
}

// resolvConf writes a pod's DNS settings as the C library reads them; nil: the node's.
func resolvConf(c *runtimeapi.DNSConfig) []byte {
	if len(c.GetServers())+len(c.GetSearches())+len(c.GetOptions()) == 0 {
		return nil
	}
	var out []byte
	line := func(word string, values []string) {
		if len(values) == 0 {
			return
		}
		out = append(out, word...)
		for _, v := range values {
			out = append(append(out, ' '), v...)
		}
		out = append(out, '\n')
	}
	line("search", c.Searches)
	for _, s := range c.Servers {
		line("nameserver", []string{s})
	}
	line("options", c.Options)
	return out
}

func (r *Runtime) removeFiles(id string) error {
	dir := r.sandboxDir(id)
	if err := unix.Unmount(filepath.Join(dir, "shm"), unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount the shared memory of sandbox %s: %w", id, err)
	}
	return os.RemoveAll(dir)
}
