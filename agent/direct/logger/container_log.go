package logger

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/fifo"
)

// slowest is how long somebody who is attached may keep a container waiting.
const slowest = 5 * time.Second

// containerLog reads one container's streams.
type containerLog struct {
	log    *logFile
	cancel context.CancelFunc
	ours   []*os.File    // the streams' writing ends: no stream ends before they are closed
	done   chan struct{} // closed when all streams have ended

	mu       sync.Mutex
	stdin    io.WriteCloser
	attached map[net.Conn]chan struct{} // closed when it is let go
}

// start opens the fifos. Each is open for writing here, too: so none ends before
// the shim has opened it, and end knows that none is left to come.
func start(o *Open) (*containerLog, error) {
	log, err := openLog(o.Log)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &containerLog{log: log, cancel: cancel, done: make(chan struct{}), attached: map[net.Conn]chan struct{}{}}
	var open []io.Closer
	fail := func(err error) (*containerLog, error) {
		cancel()
		for _, f := range open {
			f.Close()
		}
		log.close()
		return nil, err
	}
	if o.Stdin != "" {
		in, err := fifo.OpenFifo(ctx, o.Stdin, syscall.O_RDWR|syscall.O_NONBLOCK, 0)
		if err != nil {
			return fail(err)
		}
		open, c.stdin = append(open, in), in
	}
	streams := make([]*os.File, 2)
	for i, path := range []string{o.Stdout, o.Stderr} {
		if path == "" {
			continue
		}
		for _, flag := range []int{syscall.O_RDONLY, syscall.O_WRONLY} {
			f, err := os.OpenFile(path, flag|syscall.O_NONBLOCK, 0)
			if err != nil {
				return fail(err)
			}
			open = append(open, f)
			if flag == syscall.O_RDONLY {
				streams[i] = f
			} else {
				c.ours = append(c.ours, f)
			}
		}
	}
	var reading sync.WaitGroup
	for i, f := range streams {
		if f == nil {
			continue
		}
		stop := context.AfterFunc(ctx, func() { f.Close() })
		reading.Go(func() {
			defer stop()
			defer f.Close()
			log.copyLines(&tee{f, c, byte(i) + stdout}, [...]string{"stdout", "stderr"}[i])
		})
	}
	go func() {
		reading.Wait()
		c.end()
		c.closeStdin()
		log.close()
		c.mu.Lock()
		for conn := range c.attached {
			c.letGo(conn)
		}
		c.attached = nil
		c.mu.Unlock()
		close(c.done)
	}()
	return c, nil
}

// end says that nobody will write any more who doesn't already.
func (c *containerLog) end() {
	for _, f := range c.ours {
		f.Close()
	}
}

// tee shows what is read to those who are attached.
type tee struct {
	io.Reader
	c      *containerLog
	stream byte
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	if n > 0 {
		t.c.show(t.stream, p[:n])
	}
	return n, err
}

func (c *containerLog) show(stream byte, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.attached {
		if conn.SetWriteDeadline(time.Now().Add(slowest)) != nil || writeFrame(conn, stream, data) != nil {
			c.letGo(conn)
		}
	}
}

// letGo ends an attached session; c.mu is held.
func (c *containerLog) letGo(conn net.Conn) {
	if gone, ok := c.attached[conn]; ok {
		delete(c.attached, conn)
		close(gone)
	}
}

// attach hands conn's frames to the container and the container's output to
// conn until one of them ends.
func (c *containerLog) attach(conn net.Conn, r io.Reader) {
	gone := make(chan struct{})
	c.mu.Lock()
	if c.attached == nil {
		c.mu.Unlock()
		return
	}
	c.attached[conn] = gone
	c.mu.Unlock()
	read := make(chan struct{})
	go func() {
		defer close(read)
		buffer := make([]byte, largestFrame)
		for {
			_, data, err := readFrame(r, buffer)
			if err != nil {
				return
			}
			c.mu.Lock()
			in := c.stdin
			if len(data) == 0 && c.attached[conn] != nil {
				writeFrame(conn, stdin, nil) //nolint:errcheck // whoever is gone isn't read from any more
			}
			c.mu.Unlock()
			if in == nil || len(data) == 0 {
				continue
			}
			if _, err := in.Write(data); err != nil {
				return
			}
		}
	}()
	select {
	case <-gone:
	case <-read:
		c.mu.Lock()
		c.letGo(conn)
		c.mu.Unlock()
	}
	conn.Close()
	<-read
}

func (c *containerLog) closeStdin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stdin != nil {
		c.stdin.Close()
		c.stdin = nil
	}
}
