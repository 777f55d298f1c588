package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
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
