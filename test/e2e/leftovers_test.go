package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// dataPattern is how the folders are called in which tests keep a node's data
// and who made it: what a run that was killed left behind is found by it.
const dataPattern = "reckon-data-"

// newDataFolder makes a folder, in which the data goes to "d". namespace is the network
// namespace in which its node runs, "" for this one.
func newDataFolder(namespace string) (string, error) {
	dir, err := os.MkdirTemp("", dataPattern)
	if err != nil {
		return "", err
	}
	owner := fmt.Sprintf("%d %s", os.Getpid(), namespace)
	return filepath.Join(dir, "d"), os.WriteFile(filepath.Join(dir, "owner"), []byte(owner), 0o600)
}

// purgeLeftovers removes what runs of these tests that were killed made on the
// machine: containers, bridges, chains, namespaces.
func purgeLeftovers() error {
	owners, err := filepath.Glob(filepath.Join(os.TempDir(), dataPattern+"*", "owner"))
	if err != nil {
		return err
	}
	for _, owner := range owners {
		text, err := os.ReadFile(owner)
		if err != nil {
			continue // its run has just removed it
		}
		number, namespace, _ := strings.Cut(string(text), " ")
		pid, err := strconv.Atoi(number)
		if err != nil {
			return fmt.Errorf("%s: %w", owner, err)
		}
		if alive(pid) {
			continue
		}
		dir := filepath.Dir(owner)
		args := []string{binaries.reckon, "down", "--purge", "--data", filepath.Join(dir, "d")}
		at := "/run/netns/" + namespace
		if _, err := os.Stat(at); namespace != "" && err == nil {
			args = append([]string{"nsenter", "--net=" + at}, args...)
		} else {
			at = ""
		}
		if text, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("remove what an earlier run left in %s: %w\n%s", dir, err, text)
		}
		if at != "" {
			if text, err := exec.Command("ip", "netns", "delete", namespace).CombinedOutput(); err != nil {
				return fmt.Errorf("remove an earlier run's namespace: %w: %s", err, text)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// alive reports whether a process is a run of these tests.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil && strings.Contains(exe, "e2e.test")
}
