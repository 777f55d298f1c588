package server

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/reckon-project/reckon/events"
)

// writeFailed is how the NATS server says that it could not write a stream and
// stores nothing more in it. There is no other word of it: whoever appended just
// gets no answer. (TestPowerCutLosesNothing hangs if a new version words it otherwise.)
const writeFailed = "JetStream stream '%s > %s' critical write error: %v"

// logger carries the NATS server's log to slog and keeps its last error.
type logger struct {
	log     *slog.Logger
	failure func(error) // ends the process

	mu   sync.Mutex
	last string
}

func (l *logger) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *logger) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *logger) Debugf(string, ...any)           {}
func (l *logger) Tracef(string, ...any)           {}

// Errorf is for the server's own troubles and for what clients do wrong alike:
// a client's is a warning.
func (l *logger) Errorf(format string, v ...any) {
	l.keep(format, v...)
	l.log.Warn(fmt.Sprintf(format, v...))
	if format == writeFailed {
		l.failure(fmt.Errorf("stream %v: %w: write: %v", v[1], events.ErrUnavailable, v[2]))
	}
}

func (l *logger) Fatalf(format string, v ...any) {
	l.keep(format, v...)
	l.log.Error(fmt.Sprintf(format, v...))
}

func (l *logger) keep(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = fmt.Sprintf(format, v...)
}

func (l *logger) lastError() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}
