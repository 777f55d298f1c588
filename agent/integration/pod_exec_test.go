package integration

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream/spdy" //nolint:staticcheck // what client-go takes
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	clientspdy "k8s.io/client-go/transport/spdy"
)

// spdyTo opens SPDY sessions with the node over its tunnel.
func (n *node) spdyTo() *spdy.SpdyRoundTripper {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return n.bus.Dial(ctx, "tunnel.n1.conn") }}
	s, err := spdy.NewRoundTripperWithConfig(spdy.RoundTripperConfig{UpgradeTransport: transport})
	if err != nil {
		n.t.Fatal(err)
	}
	return s
}

func (n *node) session(path string, o remotecommand.StreamOptions) error {
	s := n.spdyTo()
	u, err := url.Parse("http://node" + path)
	if err != nil {
		return err
	}
	e, err := remotecommand.NewSPDYExecutorForTransports(s, s, "POST", u)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(n.t.Context(), 20*time.Second)
	defer cancel()
	return e.StreamWithContext(ctx, o)
}

func TestExec(t *testing.T) {
	n := newNode(t)
	p := n.run(newPod("box", "/bin/sleep", "1000"))
	n.await(p, "ready", isReady)
	var out, errs bytes.Buffer
	err := n.session("/exec/default/box/main?command=/bin/sh&command=-c&command=cat%3Becho+bad+%3E%262%3Bexit+3&input=1&output=1&error=1",
		remotecommand.StreamOptions{Stdin: strings.NewReader("through"), Stdout: &out, Stderr: &errs})
	if err == nil || !strings.Contains(err.Error(), "exit code 3") {
		t.Errorf("the session ended with %v", err)
	}
	if out.String() != "through" || errs.String() != "bad\n" {
		t.Errorf("it said %q and %q", out.String(), errs.String())
	}
	if got := n.get("/healthz"); got != "ok" {
		t.Errorf("healthz says %q", got)
	}
	if got := n.get("/stats/summary"); !strings.Contains(got, `"name":"box"`) {
		t.Errorf("the statistics don't name the pod: %s", got)
	}
}

func TestAttach(t *testing.T) {
	n := newNode(t)
	p := newPod("echo", "/bin/cat")
	p.Spec.Containers[0].Stdin = true
	n.run(p)
	n.await(p, "ready", isReady)
	in, write := io.Pipe()
	read, out := io.Pipe()
	go io.WriteString(write, "hello\n") //nolint:errcheck // the reader tells
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		s := n.spdyTo()
		e, err := remotecommand.NewSPDYExecutorForTransports(s, s, "POST", &url.URL{Scheme: "http", Host: "node", Path: "/attach/default/echo/main", RawQuery: "input=1&output=1"})
		if err == nil {
			err = e.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: in, Stdout: out})
		}
		done <- err
	}()
	line := make([]byte, 6)
	if _, err := io.ReadFull(read, line); err != nil || string(line) != "hello\n" {
		t.Errorf("it answered %q, %v", line, err)
	}
	cancel()
	write.Close()
	read.Close()
	<-done
}

func TestPortForward(t *testing.T) {
	n := newNode(t)
	p := newPod("server", "/bin/httpd", "-f", "-p", "8080", "-h", "/etc")
	p.Spec.Containers[0].Ports = []v1.ContainerPort{{ContainerPort: 8080}}
	p.Spec.Containers[0].ReadinessProbe = &v1.Probe{PeriodSeconds: 1, TimeoutSeconds: 5, FailureThreshold: 3,
		ProbeHandler: v1.ProbeHandler{TCPSocket: &v1.TCPSocketAction{Port: intstr.FromInt32(8080)}}}
	n.run(p)
	n.await(p, "ready", isReady)
	s := n.spdyTo()
	dialer := clientspdy.NewDialer(s, &http.Client{Transport: s}, "POST", &url.URL{Scheme: "http", Host: "node", Path: "/portForward/default/server"})
	stop, ready := make(chan struct{}), make(chan struct{})
	f, err := portforward.New(dialer, []string{"0:8080"}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- f.ForwardPorts() }()
	<-ready
	ports, err := f.GetPorts()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Get("http://127.0.0.1:" + fmt.Sprint(ports[0].Local) + "/hostname")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || string(body) != "server\n" {
		t.Errorf("it answered %q, %v", body, err)
	}
	close(stop)
	<-done
}
