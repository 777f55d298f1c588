package containerd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// configs by the daemon's major version: 1.x reads version 2, 2.x version 3.
var configs = map[int]*template.Template{
	1: template.Must(template.New("1").Parse(configV1)),
	2: template.Must(template.New("2").Parse(configV2)),
}

const configHead = `root = {{.Root}}
state = {{.State}}
oom_score = 0

[grpc]
  address = {{.Address}}
  max_recv_message_size = 16777216
  max_send_message_size = 16777216

[debug]
  level = "warn"
`

const configV1 = `version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]
` + configHead + `
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = {{.PauseImage}}
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  disable_apparmor = true
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = {{.BinDir}}
  conf_dir = {{.ConfDir}}

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = {{.CertsDir}}

[plugins."io.containerd.grpc.v1.cri".containerd]
  default_runtime_name = "runc"
  discard_unpacked_layers = true

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  Root = {{.RuncRoot}}
  SystemdCgroup = false
`

const configV2 = `version = 3
` + configHead + `
[plugins."io.containerd.cri.v1.images"]
  discard_unpacked_layers = true

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = {{.PauseImage}}

[plugins."io.containerd.cri.v1.images".registry]
  config_path = {{.CertsDir}}

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  disable_apparmor = true
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true

[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = [{{.BinDir}}]
  conf_dir = {{.ConfDir}}

[plugins."io.containerd.cri.v1.runtime".containerd]
  default_runtime_name = "runc"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  Root = {{.RuncRoot}}
  SystemdCgroup = false
`

// binDir finds the folder that has the CNI plugins.
func (l Layout) binDir() string {
	dirs := append(append([]string{}, l.CNIBinDirs...), "/usr/lib/cni", "/opt/cni/bin")
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "bridge")); err == nil {
			return dir
		}
	}
	return dirs[0]
}

func (l Layout) writeConfig(major int) error {
	t, ok := configs[major]
	if !ok {
		return fmt.Errorf("containerd %d.x is not known: 1.6 and later 1.x, and 2.x are", major)
	}
	var b strings.Builder
	err := t.Execute(&b, map[string]string{
		"Root": quote(l.root()), "State": quote(l.state()), "Address": quote(l.Address()),
		"PauseImage": quote(PauseImage), "BinDir": quote(l.binDir()), "ConfDir": quote(l.ConfDir()),
		"CertsDir": quote(l.CertsDir()), "RuncRoot": quote(l.runcRoot()),
	})
	if err != nil {
		return err
	}
	for _, dir := range []string{l.root(), l.state(), l.runcRoot(), l.ConfDir(), l.CertsDir(), filepath.Dir(l.Address())} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return err
		}
	}
	return os.WriteFile(l.config(), []byte(b.String()), 0o600)
}

func quote(s string) string { return fmt.Sprintf("%q", s) }
