package containerd

import (
	"path/filepath"

	"github.com/reckon-project/reckon/agent/direct"
)

// Direct says where the runtime that does without CRI has its things. The
// command of the logger is left to the caller.
func (l Layout) Direct() direct.Options {
	return direct.Options{
		Dir: filepath.Join(l.Dir, "direct"), Socket: filepath.Join(filepath.Dir(l.Address()), "logger.sock"),
		ConfDir: l.ConfDir(), BinDirs: []string{l.binDir()}, RuncRoot: l.runcRoot(), PauseImage: PauseImage,
	}
}
