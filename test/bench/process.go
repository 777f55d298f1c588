package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// process is one reckon that runs for a benchmark.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}

	profiler string // host:port, if it serves one
}

// launch starts the binary with arguments; its output goes to a file in dir.
func launch(binary, dir, name string, args ...string) (*process, error) {
	path := filepath.Join(dir, name+".log")
	out, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(binary, args...), log: path, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		p.cmd.Wait() //nolint:errcheck // how it ended is in its log
		out.Close()
	}()
	return p, nil
}

// stop ends the process and waits for it.
func (p *process) stop(s syscall.Signal) {
	p.cmd.Process.Signal(s) //nolint:errcheck // it may be gone already
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		p.cmd.Process.Kill() //nolint:errcheck // likewise
		<-p.done
	}
}

// cpu is the processor time used so far.
func (p *process) cpu() time.Duration {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100 on Linux
}

// rss is the resident memory in bytes.
func (p *process) rss() int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(kb)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}

// client waits for the kubeconfig and for the API to be ready.
func (p *process) client(ctx context.Context, kubeconfig string) (*rest.Config, *kubernetes.Clientset, error) {
	for {
		config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
		if err == nil {
			config.QPS = -1
			config.ContentType = "application/vnd.kubernetes.protobuf"
			config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
			c, err := kubernetes.NewForConfig(config)
			if err != nil {
				return nil, nil, err
			}
			if _, err = c.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err == nil {
				return config, c, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("the API never got ready: %w (see %s)", ctx.Err(), p.log)
		case <-p.done:
			text, _ := os.ReadFile(p.log)
			return nil, nil, fmt.Errorf("reckon ended: %s", text)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
