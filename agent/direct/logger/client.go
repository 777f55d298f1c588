package logger

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/reckon-project/reckon/events"
)

const (
	startWithin = 20 * time.Second
	askEvery    = 5 * time.Millisecond
)

// Client talks to the logger of a socket's path.
type Client struct {
	path    string
	command []string // starts a logger when it gets the path as its last argument
	log     string   // where that logger's own complaints go
	mu      sync.Mutex
}

// NewClient says how to reach a logger and how to start one.
func NewClient(path, log string, command []string) *Client {
	return &Client{path: path, command: command, log: log}
}

// Start makes sure that a logger runs. fresh says that this call started it: it
// knows of no container yet.
func (c *Client) Start(ctx context.Context) (fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	conn, err := c.dial(ctx)
	if err == nil {
		return false, conn.Close()
	}
	if err := c.spawn(); err != nil {
		return false, fmt.Errorf("start the containers' logger: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for {
		if conn, err = c.dial(ctx); err == nil {
			return true, conn.Close()
		}
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("%w: the containers' logger doesn't answer at %s: %v", events.ErrUnavailable, c.path, err)
		case <-ticker.C:
		}
	}
}

// Await returns when the logger that runs has ended, or ctx has.
func (c *Client) Await(ctx context.Context) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return nil //nolint:nilerr // it has ended
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	io.Copy(io.Discard, conn) //nolint:errcheck // it says nothing until it ends
	return ctx.Err()
}

func (c *Client) spawn() error {
	if len(c.command) == 0 {
		return fmt.Errorf("%w: none runs, and it isn't known how to start one", events.ErrUnavailable)
	}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(c.command[0], append(c.command[1:], c.path)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait() //nolint:errcheck // only so that it leaves no zombie
	return nil
}

func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", c.path)
}

// Open begins to read a container's fifos. It may be repeated.
func (c *Client) Open(ctx context.Context, o Open) error {
	return c.ask(ctx, request{Op: opOpen, Open: &o})
}

// Reopen goes on in the file that is at a container's log path now.
func (c *Client) Reopen(ctx context.Context, id string) error {
	return c.ask(ctx, request{Op: opReopen, ID: id})
}

// Drain waits until all that a container said is in its log. Its shim has ended,
// or will without another container.
func (c *Client) Drain(ctx context.Context, id string) error {
	return c.ask(ctx, request{Op: opDrain, ID: id})
}

// CloseStdin ends a container's standard input on this side.
func (c *Client) CloseStdin(ctx context.Context, id string) error {
	return c.ask(ctx, request{Op: opCloseStdin, ID: id})
}

// Forget stops reading. What isn't known is forgotten already, and so is
// everything when no logger runs.
func (c *Client) Forget(ctx context.Context, id string) error {
	err := c.ask(ctx, request{Op: opForget, ID: id})
	if errors.Is(err, events.ErrUnavailable) {
		return nil
	}
	return err
}

// Quit ends the logger and waits until it is gone. One that doesn't run is gone.
func (c *Client) Quit(ctx context.Context) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return nil //nolint:nilerr // nobody listens
	}
	defer conn.Close()
	if err := json.NewEncoder(conn).Encode(request{Op: opQuit}); err != nil {
		return err
	}
	lock, err := os.Open(c.path + ".lock")
	if err != nil {
		return err
	}
	defer lock.Close()
	for {
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(askEvery):
		}
	}
}

func (c *Client) ask(ctx context.Context, q request) error {
	conn, _, err := c.send(ctx, q)
	if conn != nil {
		defer conn.Close()
	}
	if err != nil {
		return fmt.Errorf("ask the containers' logger to %s %s: %w", q.Op, q.ID, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, q request) (net.Conn, *bufio.Reader, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %v", events.ErrUnavailable, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := json.NewEncoder(conn).Encode(q); err != nil {
		return conn, nil, err
	}
	r := bufio.NewReader(conn)
	line, err := r.ReadBytes('\n')
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return conn, nil, err
	}
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		return conn, nil, err
	}
	if a.Err != "" {
		return conn, nil, errors.New(a.Err)
	}
	return conn, r, nil
}

// Attach connects a container's streams until the container's output or ctx
// ends. stdinDone is called when in has ended and the container has room for all of it.
func (c *Client) Attach(ctx context.Context, id string, in io.Reader, out, errs io.Writer, stdinDone func()) error {
	conn, r, err := c.send(ctx, request{Op: opAttach, ID: id})
	if conn != nil {
		defer conn.Close()
	}
	if err != nil {
		return fmt.Errorf("attach to container %s: %w", id, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if in != nil {
		go func() {
			buffer := make([]byte, largestFrame)
			for {
				n, err := in.Read(buffer)
				if n > 0 && writeFrame(conn, stdin, buffer[:n]) != nil {
					return
				}
				if err != nil {
					writeFrame(conn, stdin, nil) //nolint:errcheck // the session is over
					return
				}
			}
		}()
	}
	var ending sync.WaitGroup
	defer ending.Wait()
	buffer := make([]byte, largestFrame)
	for {
		stream, data, err := readFrame(r, buffer)
		if err != nil {
			return nil //nolint:nilerr // the container ended, or the caller
		}
		if stream == stdin {
			ending.Go(stdinDone) // while output goes on
			continue
		}
		to := out
		if stream == stderr {
			to = errs
		}
		if to == nil {
			continue
		}
		if _, err := to.Write(data); err != nil {
			return nil //nolint:nilerr // the caller is gone
		}
	}
}
