package server_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/bustest"
	"github.com/reckon-project/reckon/bus/server"
)

// crashDir makes the test binary the program that is killed.
const crashDir = "RECKON_TEST_CRASH_DIR"

// appendUntilKilled appends decisions, facts and batches from many goroutines
// and prints the id and sequence of each that was acknowledged.
func appendUntilKilled(dir string) {
	s, err := server.Start(server.Options{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	b, err := s.Connect("component:crash")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	node, err := s.Connect("node:n1")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var mu sync.Mutex
	say := func(id string, seq uint64) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf("%s %d\n", id, seq)
	}
	var wg sync.WaitGroup
	for g := range 32 {
		wg.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("p%d-%d-%d", os.Getpid(), g, i)
				switch g % 4 {
				case 0:
					e := bustest.Fact("n1", name)
					if seq, err := node.Log().Append(context.Background(), bus.Entry{Event: e}); err == nil {
						say(e.ID, seq)
					}
				case 1:
					batch := []bus.Entry{{Event: bustest.Decision(name + "a")}, {Event: bustest.Decision(name + "b")}, {Event: bustest.Decision(name + "c")}}
					if seqs, err := b.Log().AppendBatch(context.Background(), batch); err == nil {
						for i, seq := range seqs {
							say(batch[i].Event.ID, seq)
						}
					}
				default:
					e := bustest.Decision(name)
					if seq, err := b.Log().Append(context.Background(), bus.Entry{Event: e, Expect: bus.Expect(0)}); err == nil {
						say(e.ID, seq)
					}
				}
			}
		})
	}
	wg.Wait()
}

// Every acknowledged event is in the log once, at its sequence, after kill -9.
func TestKillLosesNothing(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]string{}
	for round := range 3 {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), crashDir+"="+dir)
		c.Stderr = os.Stderr
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if id, seq, ok := strings.Cut(lines.Text(), " "); ok && seq != "" {
				acknowledged[id] = seq
			}
			if n == 2000*(round+1) {
				if err := c.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		c.Wait() //nolint:errcheck // it was killed
	}
	s := start(t, server.Options{Dir: dir})
	b := connect(t, s, "component:test")
	seen := map[string]int{}
	next := uint64(1)
	for e, err := range b.Log().Read(contextFor(t), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Sequence != next {
			t.Fatalf("sequence %d where %d was due", e.Sequence, next)
		}
		next++
		seen[e.ID]++
		if want, ok := acknowledged[e.ID]; ok && want != fmt.Sprint(e.Sequence) {
			t.Errorf("event %s is at %d, it was acknowledged as %s", e.ID, e.Sequence, want)
		}
	}
	if len(acknowledged) < 6000 {
		t.Fatalf("only %d events were acknowledged", len(acknowledged))
	}
	for id := range acknowledged {
		if seen[id] != 1 {
			t.Errorf("acknowledged event %s is there %d times", id, seen[id])
		}
	}
	t.Logf("%d acknowledged, %d stored, three kills", len(acknowledged), len(seen))
}
