package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// builtHelm is Helm as module ../helm pins it, built the first time a script asks for it.
var builtHelm = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binaries.reckon), "helm")
	build := exec.Command("go", "build", "-o", path, "helm.sh/helm/v4/cmd/helm")
	build.Dir, build.Env = "../helm", append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", build, err, text)
	}
	return path, nil
})

// helm runs Helm on the script's cluster.
func helm(ts *testscript.TestScript, neg bool, args []string) {
	path, err := builtHelm()
	ts.Check(err)
	for _, kind := range []string{"CACHE", "CONFIG", "DATA"} {
		ts.Setenv("HELM_"+kind+"_HOME", filepath.Join(filepath.Dir(ts.Getenv("DATA")), "helm"))
	}
	switch err := ts.Exec(path, args...); {
	case neg && err == nil:
		ts.Fatalf("helm %s succeeded, it should have failed", strings.Join(args, " "))
	case !neg && err != nil:
		ts.Fatalf("helm %s: %v", strings.Join(args, " "), err)
	}
}
