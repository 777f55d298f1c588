package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// server is a control plane of a test's own.
type server struct {
	name               string // in its cluster
	data, listen, nats string
	args               []string
	cmd                *exec.Cmd
	done               chan struct{}
}

func newServer(t *testing.T) *server {
	s := &server{data: filepath.Join(t.TempDir(), "d")}
	for _, address := range []*string{&s.listen, &s.nats} {
		a, err := freeAddress()
		if err != nil {
			t.Fatal(err)
		}
		*address = a
	}
	return s
}

// start starts the server and waits until it is ready.
func (s *server) start(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	s.launch(t)
	return s.await(t)
}

// launch starts the server's process.
func (s *server) launch(t *testing.T) {
	t.Helper()
	s.cmd = exec.Command(binaries.reckon, append([]string{"server", "--data", s.data, "--listen", s.listen, "--nats-listen", s.nats}, s.args...)...)
	out, err := os.OpenFile(s.data+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd, done := s.cmd, make(chan struct{})
	s.done = done
	go func() {
		defer close(done)
		cmd.Wait() // how it ended shows in what the test then finds
		out.Close()
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-done
		if t.Failed() {
			t.Logf("the end of the log of server %s:\n%s", s.name, s.log())
		}
	})
}

// await waits until the server is ready.
func (s *server) await(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		config, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig())
		if err != nil {
			continue
		}
		config.QPS = -1
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(t.Context()); err == nil {
			return client
		}
	}
	t.Fatalf("the server never got ready:\n%s", s.log())
	return nil
}

func (s *server) kubeconfig() string { return filepath.Join(s.data, "admin.kubeconfig") }

func (s *server) config(t *testing.T) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func (s *server) log() string {
	text, err := os.ReadFile(s.data + ".log")
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

func (s *server) kill(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.done
}

func (s *server) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.done:
	case <-time.After(patience):
		t.Fatal("the server didn't stop on SIGTERM")
	}
}
