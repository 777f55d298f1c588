package logger

import (
	"bufio"
	"io"
	"os"
	"sync"
	"time"
)

// longestLine is where CRI's format splits a line.
const longestLine = 16 << 10

// logFile is a container's log; both of its streams write to it.
type logFile struct {
	path string
	mu   sync.Mutex
	file *os.File
}

func openLog(path string) (*logFile, error) {
	l := &logFile{path: path}
	if path == "" {
		return l, nil
	}
	return l, l.reopen()
}

// reopen goes on in the file that is at the path now.
func (l *logFile) reopen() error {
	if l.path == "" {
		return nil
	}
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.file.Close()
	}
	l.file = f
	return nil
}

func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
}

// write appends one line. A disk that is full loses it: a container must not wait for it.
func (l *logFile) write(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.file.Write(line) //nolint:errcheck // see above
	}
}

// copyLines writes what r gives in CRI's format until r ends.
func (l *logFile) copyLines(r io.Reader, stream string) {
	lines := bufio.NewReaderSize(r, longestLine)
	line := make([]byte, 0, longestLine+64)
	for {
		text, err := lines.ReadSlice('\n')
		if len(text) > 0 {
			tag := byte('P') // also when the stream ended without a newline
			if text[len(text)-1] == '\n' {
				tag, text = 'F', text[:len(text)-1]
			}
			line = time.Now().AppendFormat(line[:0], time.RFC3339Nano)
			line = append(line, ' ')
			line = append(line, stream...)
			line = append(line, ' ', tag, ' ')
			line = append(append(line, text...), '\n')
			l.write(line)
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}
