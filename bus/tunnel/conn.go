package tunnel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/reckon-project/reckon/events"
)

// Addr is the address of a tunnel's end: a subject, or a name for the dialler.
type Addr string

func (a Addr) Network() string { return "bus" }
func (a Addr) String() string  { return string(a) }

// Conn is one end of a tunnel.
//
//	open ──CloseWrite──► half closed ──Close, peer's close──► closed
//	  └──Close, Reset, lost frame─────────────────────────────► closed
type Conn struct {
	local, remote Addr
	send          func(frame []byte) error
	ended         func() // called once, when the connection is closed here

	sending sync.Mutex // orders numbering and sending; taken before mu, never after
	out     uint32

	mu         sync.Mutex
	changed    chan struct{} // closed and replaced on every change
	queue      [][]byte      // received, unread
	read       int           // data frames read since the last credit
	credit     int           // data frames that may be sent
	in         uint32
	finIn      bool // no more data from the peer
	finOut     bool // no more data from here
	peerClosed bool
	closed     bool
	err        error // why it was reset

	readDeadline, writeDeadline *deadline
}

// New makes an end. send carries a frame to the other end, which gives it to
// its Receive; it must not call back into this Conn. ended may be nil.
func New(local, remote Addr, send func(frame []byte) error, ended func()) *Conn {
	return &Conn{
		local: local, remote: remote, send: send, ended: sync.OnceFunc(func() {
			if ended != nil {
				ended()
			}
		}),
		changed: make(chan struct{}), credit: window,
		readDeadline: newDeadline(), writeDeadline: newDeadline(),
	}
}

func (c *Conn) LocalAddr() net.Addr  { return c.local }
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

func (c *Conn) SetDeadline(t time.Time) error {
	c.readDeadline.set(t)
	c.writeDeadline.set(t)
	return nil
}

func (c *Conn) SetReadDeadline(t time.Time) error {
	c.readDeadline.set(t)
	return nil
}

func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.writeDeadline.set(t)
	return nil
}

// change wakes who waits; c.mu is held.
func (c *Conn) change() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Conn) Read(p []byte) (int, error) {
	for {
		passed := c.readDeadline.wait()
		select {
		case <-passed:
			return 0, os.ErrDeadlineExceeded
		default:
		}
		c.mu.Lock()
		switch {
		case c.closed:
			c.mu.Unlock()
			return 0, net.ErrClosed
		case len(c.queue) > 0:
			n, credit := c.take(p)
			c.mu.Unlock()
			if credit > 0 {
				c.transmit(newFrame(kindCredit, binary.BigEndian.AppendUint32(nil, uint32(credit)))) //nolint:errcheck // the next use sees it
			}
			return n, nil
		case c.err != nil:
			err := c.err
			c.mu.Unlock()
			return 0, err
		case c.finIn:
			c.mu.Unlock()
			return 0, io.EOF
		case len(p) == 0:
			c.mu.Unlock()
			return 0, nil
		}
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-passed:
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// take reads from the queue and says how much credit is due; c.mu is held.
func (c *Conn) take(p []byte) (n, credit int) {
	for len(c.queue) > 0 && n < len(p) {
		m := copy(p[n:], c.queue[0])
		n += m
		if m < len(c.queue[0]) {
			c.queue[0] = c.queue[0][m:]
			break
		}
		c.queue[0] = nil
		c.queue = c.queue[1:]
		c.read++
	}
	if c.read >= window/2 && !c.finIn && c.err == nil {
		credit, c.read = c.read, 0
	}
	return n, credit
}

func (c *Conn) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		chunk := p[:min(len(p), chunkSize)]
		if err := c.writeChunk(chunk); err != nil {
			return written, err
		}
		written += len(chunk)
		p = p[len(chunk):]
	}
	return written, nil
}

func (c *Conn) writeChunk(chunk []byte) error {
	for {
		passed := c.writeDeadline.wait()
		select {
		case <-passed:
			return os.ErrDeadlineExceeded
		default:
		}
		c.mu.Lock()
		switch {
		case c.closed:
			c.mu.Unlock()
			return net.ErrClosed
		case c.err != nil:
			err := c.err
			c.mu.Unlock()
			return err
		case c.finOut, c.peerClosed:
			c.mu.Unlock()
			return io.ErrClosedPipe
		case c.credit > 0:
			c.credit--
			c.mu.Unlock()
			return c.transmit(newFrame(kindData, chunk))
		}
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-passed:
			return os.ErrDeadlineExceeded
		}
	}
}

func (c *Conn) transmit(frame []byte) error {
	c.sending.Lock()
	number(frame, c.out)
	c.out++
	err := c.send(frame)
	c.sending.Unlock()
	if err != nil {
		err = fmt.Errorf("tunnel to %s: %w: %w", c.remote, events.ErrUnavailable, err)
		c.fail(err)
	}
	return err
}

// CloseWrite tells the peer that nothing more comes.
func (c *Conn) CloseWrite() error {
	c.mu.Lock()
	if c.closed || c.err != nil || c.finOut {
		err := c.err
		c.mu.Unlock()
		return err
	}
	c.finOut = true
	c.change()
	c.mu.Unlock()
	return c.transmit(newFrame(kindFin, nil))
}

// Close ends both directions.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	tell := c.err == nil && !c.peerClosed
	c.queue = nil
	c.change()
	c.mu.Unlock()
	if tell {
		c.transmit(newFrame(kindClose, nil)) //nolint:errcheck // it is closed here either way
	}
	c.ended()
	return nil
}

// Reset ends the connection with an error and tells the peer why.
func (c *Conn) Reset(err error) {
	c.mu.Lock()
	tell := !c.closed && c.err == nil && !c.peerClosed
	c.mu.Unlock()
	c.fail(err)
	if tell {
		c.transmit(newFrame(kindReset, []byte(err.Error()))) //nolint:errcheck // it has ended
	}
}

func (c *Conn) fail(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.change()
	c.mu.Unlock()
	c.ended()
}

// PeerGone ends the connection because nobody is at the other end any more. What
// was read from a peer that closed before stays readable.
func (c *Conn) PeerGone() {
	c.mu.Lock()
	closed := c.peerClosed || c.closed
	c.mu.Unlock()
	if !closed {
		c.fail(fmt.Errorf("tunnel to %s: %w: nobody is there", c.remote, events.ErrUnavailable))
	}
}

// Ping lets the peer know that this end lives.
func (c *Conn) Ping() {
	c.mu.Lock()
	closed := c.peerClosed || c.closed
	c.mu.Unlock()
	if !closed {
		c.transmit(newFrame(kindPing, nil)) //nolint:errcheck // the next use sees it
	}
}

// PeerClosed says that the peer has closed: there is no word to expect from it.
func (c *Conn) PeerClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peerClosed
}

// Receive takes a frame from the peer; it keeps frame. It never blocks.
func (c *Conn) Receive(frame []byte) {
	if err := c.receive(frame); err != nil {
		c.Reset(fmt.Errorf("tunnel to %s: %w: %w", c.remote, events.ErrUnavailable, err))
	}
}

func (c *Conn) receive(frame []byte) error {
	if len(frame) < headerSize {
		return errors.New("frame too short")
	}
	kind, n, payload := frame[0], binary.BigEndian.Uint32(frame[1:]), frame[headerSize:]
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.err != nil {
		return nil
	}
	if n != c.in {
		return fmt.Errorf("frame %d came where %d was due", n, c.in)
	}
	c.in++
	switch kind {
	case kindData:
		if c.finIn || len(c.queue) >= window+window/2 {
			return errors.New("the peer sent more than it may")
		}
		if len(payload) > 0 {
			c.queue = append(c.queue, payload)
		}
	case kindCredit:
		if len(payload) != 4 {
			return errors.New("malformed credit")
		}
		c.credit = min(c.credit+int(binary.BigEndian.Uint32(payload)), window)
	case kindFin:
		c.finIn = true
	case kindClose:
		c.finIn, c.peerClosed = true, true
	case kindReset:
		c.err = fmt.Errorf("tunnel to %s: %w: reset by the peer: %s", c.remote, events.ErrUnavailable, payload)
	case kindPing:
		return nil
	default:
		return fmt.Errorf("frame of unknown kind %q", kind)
	}
	c.change()
	return nil
}
