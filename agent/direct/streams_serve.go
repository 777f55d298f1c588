package direct

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-streaming/pkg/streaming"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"

	"github.com/reckon-project/reckon/events"
)

const dialWithin = 10 * time.Second

// streams serves interactive sessions on the loopback: who knows a session's
// token, which is good once, may have it.
type streams struct {
	streaming.Server
	http *http.Server
	done chan struct{}
}

func serveStreams(r *Runtime) (*streams, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for interactive sessions: %w", err)
	}
	config := streaming.DefaultConfig
	config.Addr = l.Addr().String()
	config.BaseURL = &url.URL{Scheme: "http", Host: config.Addr}
	s := &streams{done: make(chan struct{})}
	if s.Server, err = streaming.NewServer(config, sessions{r}); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	s.http = &http.Server{Handler: s.Server, ReadHeaderTimeout: dialWithin}
	go func() {
		defer close(s.done)
		s.http.Serve(l) //nolint:errcheck // it says that it was closed
	}()
	return s, nil
}

func (s *streams) close() error {
	err := s.http.Close()
	<-s.done
	return err
}

// Exec implements runtime.Streams.
func (r *Runtime) Exec(_ context.Context, q *runtimeapi.ExecRequest) (*url.URL, error) {
	if err := r.needsRunning(q.ContainerId); err != nil {
		return nil, err
	}
	a, err := r.streams.GetExec(q)
	if err != nil {
		return nil, fmt.Errorf("%w: execute in container %s: %w", events.ErrInvalid, q.ContainerId, err)
	}
	return url.Parse(a.Url)
}

// Attach implements runtime.Streams.
func (r *Runtime) Attach(_ context.Context, q *runtimeapi.AttachRequest) (*url.URL, error) {
	if err := r.needsRunning(q.ContainerId); err != nil {
		return nil, err
	}
	a, err := r.streams.GetAttach(q)
	if err != nil {
		return nil, fmt.Errorf("%w: attach to container %s: %w", events.ErrInvalid, q.ContainerId, err)
	}
	return url.Parse(a.Url)
}

// PortForward implements runtime.Streams.
func (r *Runtime) PortForward(_ context.Context, q *runtimeapi.PortForwardRequest) (*url.URL, error) {
	rec, err := r.findSandbox(q.PodSandboxId)
	if err != nil {
		return nil, err
	}
	if !rec.ready() {
		return nil, fmt.Errorf("%w: sandbox %s is stopped", events.ErrInvalid, q.PodSandboxId)
	}
	a, err := r.streams.GetPortForward(q)
	if err != nil {
		return nil, fmt.Errorf("%w: forward to sandbox %s: %w", events.ErrInvalid, q.PodSandboxId, err)
	}
	return url.Parse(a.Url)
}

func (r *Runtime) needsRunning(id string) error {
	rec, err := r.findContainer(id)
	if err == nil && !runs(rec) {
		err = fmt.Errorf("%w: container %s is in %s state", events.ErrInvalid, id, rec.containerState())
	}
	return err
}

// sessions is what the streaming server asks for.
type sessions struct{ r *Runtime }

// Exec implements streaming.Runtime.
func (s sessions) Exec(ctx context.Context, id string, args []string, in io.Reader, out, errs io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) error {
	c := command{args: args, in: in, tty: tty, resize: resize}
	if out != nil {
		c.out = out
	}
	if errs != nil {
		c.err = errs
	}
	code, err := s.r.exec(ctx, id, c)
	if err != nil {
		return err
	}
	if code != 0 {
		return &utilexec.CodeExitError{Err: fmt.Errorf("error executing command %v, exit code %d", args, code), Code: code}
	}
	return nil
}

// Attach implements streaming.Runtime.
func (s sessions) Attach(ctx context.Context, id string, in io.Reader, out, errs io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) error {
	rec, err := s.r.findContainer(id)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(inNamespace(ctx))
	defer stop()
	if tty && resize != nil {
		go follow(ctx, resize, func(ctx context.Context, w, h uint32) error {
			_, err := s.r.daemon.TaskService().ResizePty(ctx, &tasks.ResizePtyRequest{ContainerID: id, Width: w, Height: h})
			return err
		})
	}
	stdinDone := func() {
		if rec.about.StdinOnce {
			s.r.closeStdin(ctx, rec)
		}
	}
	if !rec.about.Stdin {
		in = nil
	}
	return s.r.logger.Attach(ctx, id, in, writer(out), writer(errs), stdinDone)
}

// writer keeps a nil one nil.
func writer(w io.WriteCloser) io.Writer {
	if w == nil {
		return nil
	}
	return w
}

// closeStdin ends a container's standard input for good.
func (r *Runtime) closeStdin(ctx context.Context, rec *record) {
	if r.logger.CloseStdin(ctx, rec.id) == nil {
		r.daemon.TaskService().CloseIO(ctx, &tasks.CloseIORequest{ContainerID: rec.id, Stdin: true}) //nolint:errcheck // the container may have ended
	}
}

// PortForward implements streaming.Runtime.
func (s sessions) PortForward(ctx context.Context, id string, port int32, stream io.ReadWriteCloser) error {
	rec, err := s.r.findSandbox(id)
	if err != nil {
		return err
	}
	defer stream.Close()
	conn, err := dialPod(ctx, rec, port)
	if err != nil {
		return fmt.Errorf("connect to port %d of sandbox %s: %w", port, id, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	var both sync.WaitGroup
	both.Go(func() {
		io.Copy(conn, stream) //nolint:errcheck // either side may end it
		if c, ok := conn.(*net.TCPConn); ok {
			c.CloseWrite() //nolint:errcheck // it may be closed
		}
	})
	_, err = io.Copy(stream, conn)
	stream.Close() //nolint:errcheck // so that the other direction ends too
	both.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// dialPod connects to a port of the pod's loopback. A connection stays in the
// namespace where it was made.
func dialPod(ctx context.Context, rec *record, port int32) (conn net.Conn, err error) {
	var names []string
	if exists(filepath.Join(rec.about.Namespaces, pinNet)) {
		names = append(names, pinNet)
	}
	err = inNamespaces(rec.about.Namespaces, func() error {
		d := net.Dialer{Timeout: dialWithin}
		var errs []error
		for _, address := range []string{"127.0.0.1", "::1"} {
			var err error
			if conn, err = d.DialContext(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(int(port)))); err == nil {
				return nil
			}
			errs = append(errs, err)
		}
		return errs[0]
	}, names...)
	return conn, err
}
