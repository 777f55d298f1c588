package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// TestNoAcknowledgedChangeIsLost kills the server with SIGKILL while many
// clients create objects, several times, and looks for every object whose
// creation was acknowledged. Then it deletes every checkpoint and looks again.
func TestNoAcknowledgedChangeIsLost(t *testing.T) {
	const rounds, clients, perRound = 3, 16, 400
	s := newServer(t)
	acknowledged := map[string]string{} // name → uid
	var mu sync.Mutex
	for round := range rounds {
		client := s.start(t)
		ctx, cancel := context.WithCancel(t.Context())
		var created, wg = make(chan struct{}, clients*perRound), sync.WaitGroup{}
		for c := range clients {
			wg.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					name := fmt.Sprintf("r%d-c%d-%d", round, c, i)
					o, err := client.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
					if err != nil {
						return // the server was killed
					}
					mu.Lock()
					acknowledged[name] = string(o.UID)
					mu.Unlock()
					select {
					case created <- struct{}{}:
					default:
					}
				}
			})
		}
		for range perRound {
			select {
			case <-created:
			case <-time.After(patience):
				t.Fatal("creates stopped being acknowledged")
			}
		}
		s.kill(t)
		cancel()
		wg.Wait()
	}
	check := func(client *kubernetes.Clientset) {
		t.Helper()
		list, err := client.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		have := map[string]string{}
		for _, o := range list.Items {
			have[o.Name] = string(o.UID)
		}
		missing := 0
		for name, uid := range acknowledged {
			if have[name] != uid {
				missing++
			}
		}
		if missing > 0 {
			t.Errorf("%d of %d acknowledged objects are missing", missing, len(acknowledged))
		}
	}
	if len(acknowledged) < rounds*perRound {
		t.Fatalf("only %d creates were acknowledged", len(acknowledged))
	}
	check(s.start(t))
	s.stop(t)
	removeCheckpoints(t, s)
	check(s.start(t))
	s.stop(t)
}

// server is a control plane of this test's own.
type server struct {
	data, listen, nats string
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

func (s *server) start(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	s.cmd = exec.Command(binaries.reckon, "server", "--data", s.data, "--listen", s.listen, "--nats-listen", s.nats)
	out, err := os.OpenFile(s.data+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		s.cmd.Wait() // how it ended shows in what the test then finds
		out.Close()
	}()
	t.Cleanup(func() { s.cmd.Process.Kill(); <-s.done })
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(s.data, "admin.kubeconfig"))
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
	text, _ := os.ReadFile(s.data + ".log")
	t.Fatalf("the server never got ready:\n%s", text)
	return nil
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
