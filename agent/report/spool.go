package report

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/reckon-project/reckon/events"
)

// spool is an ordered queue of events on disk: one JSON object a line, appended
// durably, and rewritten when its head is dropped. Only the reporter's one
// goroutine uses it.
type spool struct {
	path    string // "": in memory only
	waiting []*events.Event
}

type spooled struct {
	Subject string
	Header  events.Header
	Data    []byte
}

func openSpool(dir string) (*spool, error) {
	if dir == "" {
		return &spool{}, nil
	}
	s := &spool{path: filepath.Join(dir, "reports.jsonl")}
	f, err := os.Open(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the queue of reports: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var line spooled
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			break // the last line of a machine that went down while it was written
		}
		e, err := events.Parse(line.Subject, line.Header, line.Data)
		if err != nil {
			return nil, fmt.Errorf("read the queue of reports %s: %w", s.path, err)
		}
		s.waiting = append(s.waiting, e)
	}
	return s, lines.Err()
}

func (s *spool) head(most int) []*events.Event {
	return s.waiting[:min(most, len(s.waiting))]
}

func (s *spool) add(batch ...*events.Event) error {
	if len(batch) == 0 {
		return nil
	}
	s.waiting = append(s.waiting, batch...)
	if s.path == "" {
		return nil
	}
	data, err := encodeLines(batch)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the queue of reports: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("queue a report on disk: %w", err)
	}
	return nil
}

func (s *spool) drop(n int) error {
	s.waiting = s.waiting[n:]
	if s.path == "" {
		return nil
	}
	if len(s.waiting) == 0 {
		s.waiting = nil
		if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	data, err := encodeLines(s.waiting)
	if err != nil {
		return err
	}
	return writeDurably(s.path, data)
}

func encodeLines(batch []*events.Event) ([]byte, error) {
	var out []byte
	for _, e := range batch {
		line, err := json.Marshal(spooled{Subject: e.Subject(), Header: e.Header(), Data: e.Data})
		if err != nil {
			return nil, err
		}
		out = append(append(out, line...), '\n')
	}
	return out, nil
}
