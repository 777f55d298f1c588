package server

import (
	"fmt"
	"log/slog"
	"sync"
)

// logger carries the NATS server's log to slog and keeps its last error.
type logger struct {
	log *slog.Logger

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
