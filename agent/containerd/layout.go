package containerd

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
)

// Layout says where the files of a private containerd are. Everything lies
// under Dir but for what must have a short path.
type Layout struct {
	Dir string // absolute

	CNIConfDir string   // Dir/cni/net.d unless set
	CNIBinDirs []string // Debian's and upstream's folders unless set
}

const longestSocket = 90 // of 107 bytes: containerd adds ".ttrpc", shims and runc some more

func (l Layout) id() string {
	sum := sha256.Sum256([]byte(l.Dir))
	return hex.EncodeToString(sum[:4])
}

// Address is the socket's path.
func (l Layout) Address() string {
	address := filepath.Join(l.Dir, "containerd", "containerd.sock")
	if len(address) > longestSocket {
		return filepath.Join(l.shortDir(), "containerd.sock")
	}
	return address
}

// shortDir holds what can't lie under a long Dir.
func (l Layout) shortDir() string { return "/run/reckon-" + l.id() }

// CgroupPrefix is the cgroup under which all pods of this folder are.
func (l Layout) CgroupPrefix() string { return "/reckon-" + l.id() }

// ConfDir is the CNI configuration folder.
func (l Layout) ConfDir() string {
	if l.CNIConfDir != "" {
		return l.CNIConfDir
	}
	return filepath.Join(l.Dir, "cni", "net.d")
}

// CertsDir holds the registries' settings (hosts.toml), as containerd reads them.
func (l Layout) CertsDir() string { return filepath.Join(l.Dir, "registries") }

func (l Layout) root() string     { return filepath.Join(l.Dir, "containerd", "root") }
func (l Layout) state() string    { return filepath.Join(l.Dir, "containerd", "state") }
func (l Layout) runcRoot() string { return filepath.Join(l.Dir, "containerd", "runc") }
func (l Layout) config() string   { return filepath.Join(l.Dir, "containerd", "config.toml") }
func (l Layout) pidFile() string  { return filepath.Join(l.Dir, "containerd", "containerd.pid") }
func (l Layout) logFile() string  { return filepath.Join(l.Dir, "containerd", "containerd.log") }
