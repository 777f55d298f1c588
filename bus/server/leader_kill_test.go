package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/bustest"
	"github.com/reckon-project/reckon/bus/server"
)

// memberOptions makes the test binary a server of a cluster.
const memberOptions = "RECKON_TEST_MEMBER"

type member struct {
	Dir, Name, Listen string
	Peers             []string
	url               string
	command           *exec.Cmd
}

// serveUntilKilled runs one server and says where clients connect.
func serveUntilKilled(options string) {
	var m member
	err := json.Unmarshal([]byte(options), &m)
	if err == nil {
		var s *server.Server
		s, err = server.Start(server.Options{
			Dir: m.Dir, Name: m.Name, Authenticate: outside,
			Cluster: &server.Cluster{Name: "test", Listen: m.Listen, Peers: m.Peers, Secret: "test"},
		})
		if err == nil {
			fmt.Println(s.ClientURL())
			select {}
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func startMembers(t *testing.T) []*member {
	t.Helper()
	var peers []string
	var listeners []net.Listener
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
		peers = append(peers, l.Addr().String())
	}
	for _, l := range listeners {
		l.Close()
	}
	members := make([]*member, len(peers))
	for i := range members {
		m := &member{Dir: t.TempDir(), Name: fmt.Sprintf("s%d", i+1), Listen: peers[i], Peers: peers}
		members[i] = m
		options, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		m.command = exec.Command(os.Args[0])
		m.command.Env = append(os.Environ(), memberOptions+"="+string(options))
		out, err := m.command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := m.command.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			m.command.Process.Kill() //nolint:errcheck // it may have been killed
			m.command.Wait()         //nolint:errcheck // it was killed
		})
		defer func() {
			lines := bufio.NewScanner(out)
			if lines.Scan() {
				m.url = lines.Text()
			}
			if m.url == "" {
				t.Fatalf("server %s did not start", m.Name)
			}
		}()
	}
	return members
}

// The leader of the log is killed under load: no acknowledged event is lost, there
// is no gap and no double, and appends go on with the next leader.
func TestLeaderKilled(t *testing.T) {
	members := startMembers(t)
	b, err := bus.Connect(contextFor(t), members[0].url, bus.Credentials{Identity: "component:test", Password: "right"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var mu sync.Mutex
	acknowledged := map[string]uint64{}
	last, stall := time.Now(), time.Duration(0)
	var writers sync.WaitGroup
	for g := range 8 {
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				e := bustest.Decision(fmt.Sprintf("p%d-%d", g, i))
				seq, err := b.Log().Append(contextFor(t), bus.Entry{Event: e, Expect: bus.Expect(0)})
				if err != nil {
					t.Errorf("append: %v", err)
					return
				}
				mu.Lock()
				acknowledged[e.ID] = seq
				stall = max(stall, time.Since(last))
				last = time.Now()
				mu.Unlock()
			}
		})
	}
	enough := func(n int) {
		t.Helper()
		for limit := contextFor(t); ; {
			mu.Lock()
			have := len(acknowledged)
			mu.Unlock()
			if have >= n || t.Failed() {
				return
			}
			select {
			case <-limit.Done():
				t.Fatalf("%d events were acknowledged, want %d", have, n)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	enough(1000)
	leader := logLeader(t, members)
	if err := leader.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	before := len(acknowledged)
	mu.Unlock()
	enough(before + 1000)
	stop()
	writers.Wait()
	checkAcknowledged(t, b, acknowledged)
	t.Logf("%s led and was killed; %d acknowledged, the longest stall was %s", leader.Name, len(acknowledged), stall.Round(time.Millisecond))
}

func logLeader(t *testing.T, members []*member) *member {
	t.Helper()
	nc, err := nats.Connect(members[0].url, nats.UserInfo("component:look", "right"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(contextFor(t), bus.StreamLog)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(members, func(m *member) bool { return m.Name == s.CachedInfo().Cluster.Leader })
	if i < 0 {
		t.Fatal("nobody leads the log")
	}
	return members[i]
}
