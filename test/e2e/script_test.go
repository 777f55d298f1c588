package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience bounds how long a script waits for something that must come; it is
// no measure of speed.
const patience = 90 * time.Second

var update = flag.Bool("update", false, "write what the scripts expect anew")

// binaries are built once for all scripts.
var binaries struct{ reckon, hello string }

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests start containers and must run as root")
		os.Exit(1)
	}
	for _, tool := range []string{"containerd", "runc", "iptables"} {
		if _, err := exec.LookPath(tool); err != nil {
			fmt.Fprintf(os.Stderr, "%s is missing: run make deps\n", tool)
			os.Exit(1)
		}
	}
	dir, err := os.MkdirTemp("", "reckon-e2e-")
	if err != nil {
		panic(err)
	}
	binaries.reckon, binaries.hello = filepath.Join(dir, "reckon"), filepath.Join(dir, "hello")
	for _, build := range []*exec.Cmd{
		exec.Command("make", "-s", "-C", "../..", "build", "BIN="+binaries.reckon),
		exec.Command("go", "build", "-o", binaries.hello, "../../examples/hello"),
	} {
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n%s", build, err, text)
			os.Exit(1)
		}
	}
	if err := purgeLeftovers(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		Setup:         setup,
		UpdateScripts: *update,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"reckon": func(ts *testscript.TestScript, neg bool, args []string) { run(ts, neg, args) },
			"kubectl": func(ts *testscript.TestScript, neg bool, args []string) {
				run(ts, neg, append([]string{"kubectl"}, args...))
			},
			"up":         up,
			"server":     startServer,
			"kill9":      kill9,
			"tamper":     tamper,
			"cut":        cut,
			"nowhere":    nowhere,
			"told":       told,
			"eventually": eventually,
			"helm":       helm,
			"http-all":   httpAll,
			"http-only":  httpOnly,
			"from-stdout": func(ts *testscript.TestScript, neg bool, args []string) {
				ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
			},
		},
	})
}

// setup gives a script a data folder, free ports, and the purge at its end.
func setup(env *testscript.Env) error {
	data, err := newDataFolder("")
	if err != nil {
		return err
	}
	env.Setenv("DATA", data)
	env.Setenv("RECKON_DATA", data)
	env.Setenv("KUBECONFIG", filepath.Join(data, "admin.kubeconfig"))
	env.Setenv("HELLO", binaries.hello)
	env.Setenv("RECKON", binaries.reckon)
	env.Setenv("PATH", os.Getenv("PATH"))
	env.Setenv("RECKON_CONTAINER_RUNTIME", os.Getenv("RECKON_CONTAINER_RUNTIME")) // all scripts can run on another one
	for _, name := range []string{"RECKON_LISTEN", "RECKON_NATS_LISTEN"} {
		address, err := freeAddress()
		if err != nil {
			return err
		}
		env.Setenv(name, address)
	}
	for _, name := range []string{"FREEPORT", "FREEPORT2"} {
		free, err := freeAddress()
		if err != nil {
			return err
		}
		_, port, err := net.SplitHostPort(free)
		if err != nil {
			return err
		}
		env.Setenv(name, port)
	}
	fork := filepath.Join(filepath.Dir(data), "fork")
	env.Setenv("FORK", fork)
	root, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	env.Setenv("ROOT", root)
	vars := env.Vars
	env.Defer(func() {
		for _, folder := range []string{fork, data} {
			down := exec.Command(binaries.reckon, "down", "--purge", "--data", folder)
			down.Env = vars
			if text, err := down.CombinedOutput(); err != nil {
				env.T().Fatal(fmt.Sprintf("down --purge: %v\n%s", err, text))
			}
		}
		os.RemoveAll(filepath.Dir(data))
	})
	return nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func run(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(binaries.reckon, args...)
	switch {
	case neg && err == nil:
		ts.Fatalf("reckon %s succeeded, it should have failed", strings.Join(args, " "))
	case !neg && err != nil:
		ts.Fatalf("reckon %s: %v", strings.Join(args, " "), err)
	}
}

func up(ts *testscript.TestScript, neg bool, args []string) {
	run(ts, neg, append([]string{"up", "--detach"}, args...))
}

// startServer starts a control plane without a node and waits for its API.
func startServer(ts *testscript.TestScript, neg bool, args []string) {
	run(ts, neg, append([]string{"server", "--detach"}, args...))
}

// kill9 kills the cluster's process and waits until it's gone.
func kill9(ts *testscript.TestScript, neg bool, args []string) {
	text := ts.ReadFile(filepath.Join(ts.Getenv("DATA"), "reckon.pid"))
	pid, err := strconv.Atoi(strings.TrimSpace(text))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
	for deadline := time.Now().Add(patience); syscall.Kill(pid, 0) == nil; {
		if time.Now().After(deadline) {
			ts.Fatalf("pid %d survived SIGKILL", pid)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually REGEXP COMMAND...")
	}
	want, err := regexp.Compile(args[0])
	ts.Check(err)
	command := args[1:]
	switch command[0] {
	case "kubectl":
		command = append([]string{binaries.reckon}, command...)
	case "reckon":
		command = append([]string{binaries.reckon}, command[1:]...)
	}
	var last []byte
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		c := exec.CommandContext(ctx, command[0], command[1:]...)
		c.Dir = ts.MkAbs(".")
		c.Env = append(os.Environ(), "DATA="+ts.Getenv("DATA"), "RECKON_DATA="+ts.Getenv("DATA"), "KUBECONFIG="+ts.Getenv("KUBECONFIG"))
		last, _ = c.CombinedOutput() // a failing command is tried again; its output is shown in the end
		cancel()
		if want.Match(last) {
			return
		}
	}
	ts.Fatalf("%s never printed %q; the last time it was:\n%s", strings.Join(args[1:], " "), args[0], last)
}

func httpAll(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: http-all URL N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	seen := map[string]int{}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		r, err := client.Get(args[0])
		if err != nil {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		ts.Check(err)
		seen[string(bytes.TrimSpace(body))]++
		if len(seen) >= n {
			for answer := range seen {
				fmt.Fprintln(ts.Stdout(), answer)
			}
			return
		}
	}
	ts.Fatalf("%s gave %d different answers, want %d: %v", args[0], len(seen), n, seen)
}

// httpOnly waits until twenty answers in a row match.
func httpOnly(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: http-only URL REGEXP")
	}
	want, err := regexp.Compile(args[1])
	ts.Check(err)
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	last, row := "", 0
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		r, err := client.Get(args[0])
		if err != nil {
			last, row = err.Error(), 0
			time.Sleep(50 * time.Millisecond)
			continue
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		ts.Check(err)
		if last = string(body); !want.Match(body) {
			row = 0
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if row++; row == 20 {
			return
		}
	}
	ts.Fatalf("%s never answered %q only; the last answer was %q", args[0], args[1], last)
}
