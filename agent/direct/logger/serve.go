package logger

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/reckon-project/reckon/events"
)

// Serve runs the logger of a socket's path until it is told to quit. A second
// one for the same path ends at once, without an error.
func Serve(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return err
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return nil
	} else if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	context.AfterFunc(ctx, func() { l.Close() })
	debug.FreeOSMemory() // what this program's other duties were made ready with
	s := &server{quit: stop, logs: map[string]*containerLog{}}
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		go s.talk(conn)
	}
}

type server struct {
	quit func()
	mu   sync.Mutex
	logs map[string]*containerLog
}

func (s *server) talk(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	out := json.NewEncoder(conn)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return
		}
		var q request
		if err := json.Unmarshal(line, &q); err != nil {
			return
		}
		if q.Op == opAttach {
			c := s.find(q.ID)
			if c == nil {
				out.Encode(answer{Err: "nothing is known of container " + q.ID}) //nolint:errcheck // the asker is gone
				return
			}
			if out.Encode(answer{}) == nil {
				c.attach(conn, r)
			}
			return
		}
		var a answer
		if err := s.do(q); err != nil {
			a.Err = err.Error()
		}
		if out.Encode(a) != nil {
			return
		}
		if q.Op == opQuit {
			s.quit()
			return
		}
	}
}

func (s *server) find(id string) *containerLog {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logs[id]
}

func (s *server) do(q request) error {
	switch q.Op {
	case opOpen:
		return s.open(q.Open)
	case opQuit:
		return nil
	}
	c := s.find(q.ID)
	if c == nil {
		return nil
	}
	switch q.Op {
	case opReopen:
		return c.log.reopen()
	case opDrain:
		c.end()
		<-c.done
	case opCloseStdin:
		c.closeStdin()
	case opForget:
		c.cancel()
		<-c.done
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.logs[q.ID] == c {
			delete(s.logs, q.ID)
		}
	default:
		return fmt.Errorf("%w: %s is nothing that a logger does", events.ErrInvalid, q.Op)
	}
	return nil
}

// open begins to read; what is read already is left as it is.
func (s *server) open(o *Open) error {
	if o == nil || o.ID == "" {
		return fmt.Errorf("%w: it isn't said what to open", events.ErrInvalid)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logs[o.ID] != nil {
		return nil
	}
	c, err := start(o)
	if err != nil {
		return err
	}
	s.logs[o.ID] = c
	return nil
}
