package logger

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Open says which fifos to read and where to write.
type Open struct {
	ID     string
	Stdin  string // "": there is none; it is held open until CloseStdin
	Stdout string
	Stderr string // "": a terminal
	Log    string // "": nothing is written
}

// request is one line of JSON; each is answered by one line.
type request struct {
	Op   string
	Open *Open  `json:",omitempty"`
	ID   string `json:",omitempty"`
}

type answer struct {
	Err string `json:",omitempty"`
}

const (
	opOpen       = "open"
	opReopen     = "reopen"
	opDrain      = "drain"
	opForget     = "forget"
	opCloseStdin = "close-stdin"
	opAttach     = "attach" // then frames go both ways
	opQuit       = "quit"
)

// The streams of frames. An empty frame of stdin is its end, and comes back
// once all before it is with the container.
const (
	stdin  byte = 0
	stdout byte = 1
	stderr byte = 2
)

const largestFrame = 64 << 10

func writeFrame(w io.Writer, stream byte, data []byte) error {
	for first := true; first || len(data) > 0; first = false {
		n := min(len(data), largestFrame)
		frame := append(make([]byte, 0, n+5), stream, 0, 0, 0, 0)
		binary.BigEndian.PutUint32(frame[1:], uint32(n))
		if _, err := w.Write(append(frame, data[:n]...)); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

func readFrame(r io.Reader, buffer []byte) (stream byte, data []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > largestFrame {
		return 0, nil, fmt.Errorf("a frame of %d bytes is too large", n)
	}
	_, err = io.ReadFull(r, buffer[:n])
	return head[0], buffer[:n], err
}
