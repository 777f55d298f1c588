package bustest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// pair opens a tunnel on subject: the dialler's end and the listener's.
func pair(t *testing.T, b bus.Bus, listen, dial string) (near, far net.Conn) {
	t.Helper()
	l, err := b.Listen(contextFor(t), listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	type accepted struct {
		conn net.Conn
		err  error
	}
	c := make(chan accepted, 1)
	go func() {
		conn, err := l.Accept()
		c <- accepted{conn, err}
	}()
	near, err = b.Dial(contextFor(t), dial)
	if err != nil {
		t.Fatal(err)
	}
	a := <-c
	if a.err != nil {
		t.Fatal(a.err)
	}
	t.Cleanup(func() {
		near.Close()
		a.conn.Close()
	})
	return near, a.conn
}

func closeWrite(t *testing.T, c net.Conn) {
	t.Helper()
	h, ok := c.(interface{ CloseWrite() error })
	if !ok {
		t.Fatalf("a %T has no CloseWrite", c)
	}
	if err := h.CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

func tunnelBytes(t *testing.T, b bus.Bus) {
	near, far := pair(t, b, "tunnel.n1.conn", "tunnel.n1.conn")
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	var wg sync.WaitGroup
	send := func(c net.Conn) {
		if _, err := c.Write(data); err != nil {
			t.Error(err)
		}
		closeWrite(t, c)
	}
	receive := func(c net.Conn) {
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("read %d bytes (%v), want %d", len(got), err, len(data))
		}
	}
	for _, c := range []net.Conn{near, far} {
		wg.Go(func() { send(c) })
		wg.Go(func() { receive(c) })
	}
	wg.Wait()
	if _, err := near.Write([]byte("x")); err == nil {
		t.Error("a write after CloseWrite went through")
	}
}

func tunnelSubject(t *testing.T, b bus.Bus) {
	_, far := pair(t, b, "api.*.conn", "api.node:n1.conn")
	if got := far.LocalAddr().String(); got != "api.node:n1.conn" {
		t.Errorf("the listener's end says %q", got)
	}
}

func tunnelBackpressure(t *testing.T, b bus.Bus) {
	near, far := pair(t, b, "tunnel.n1.conn", "tunnel.n1.conn")
	data := make([]byte, 8<<20)
	if err := near.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	n, err := near.Write(data)
	if !errors.Is(err, os.ErrDeadlineExceeded) || n == len(data) {
		t.Errorf("wrote %d bytes to nobody (%v)", n, err)
	}
	if err := near.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	go func() {
		near.Write(data[n:]) //nolint:errcheck // the reader counts
		near.Close()
	}()
	got, err := io.Copy(io.Discard, far)
	if err != nil || got != int64(len(data)) {
		t.Errorf("read %d bytes (%v), want %d", got, err, len(data))
	}
}

func tunnelDeadline(t *testing.T, b bus.Bus) {
	near, far := pair(t, b, "tunnel.n1.conn", "tunnel.n1.conn")
	if err := near.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err := near.Read(make([]byte, 1))
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("read past its deadline: %v", err)
	}
	if err := near.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	// A deadline set while a read waits ends it.
	ended := make(chan error, 1)
	go func() {
		_, err := near.Read(make([]byte, 1))
		ended <- err
	}()
	if err := near.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a waiting read ended with %v", err)
	}
	if err := near.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	go far.Write([]byte("y")) //nolint:errcheck // the reader sees it
	if _, err := io.ReadFull(near, make([]byte, 1)); err != nil {
		t.Errorf("read after a deadline was lifted: %v", err)
	}
}

func tunnelClose(t *testing.T, b bus.Bus) {
	near, far := pair(t, b, "tunnel.n1.conn", "tunnel.n1.conn")
	if _, err := far.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	far.Close()
	got, err := io.ReadAll(near)
	if err != nil || string(got) != "last words" {
		t.Errorf("read %q (%v) from a closed peer", got, err)
	}
	if _, err := near.Write([]byte("x")); err == nil {
		t.Error("wrote to a closed peer")
	}
	if _, err := far.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read from a closed end: %v", err)
	}
}

func tunnelNobody(t *testing.T, b bus.Bus) {
	if c, err := b.Dial(contextFor(t), "tunnel.none.conn"); !errors.Is(err, events.ErrUnavailable) {
		t.Errorf("dial to nobody: %v, %v", c, err)
	}
}

func tunnelHTTP(t *testing.T, b bus.Bus) {
	ctx := contextFor(t)
	l, err := b.Listen(ctx, "tunnel.n1.conn")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body) //nolint:errcheck // the client sees it
	})
	mux.HandleFunc("/watch", func(w http.ResponseWriter, r *http.Request) {
		for i := 0; r.Context().Err() == nil; i++ {
			fmt.Fprintf(w, "line %d\n", i)
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("/upgrade", func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		io.Copy(conn, rw) //nolint:errcheck // the client sees it
	})
	server := &http.Server{Handler: mux}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() {
		server.Close()
		<-served
	}()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return b.Dial(ctx, "tunnel.n1.conn") }}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}

	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			body := bytes.Repeat([]byte{byte(i)}, 300_000)
			r, err := client.Post("http://n1/echo", "", bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Body.Close()
			if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, body) {
				t.Errorf("echo gave %d bytes (%v)", len(got), err)
			}
		})
	}
	wg.Wait()

	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request, err := http.NewRequestWithContext(wctx, "GET", "http://n1/watch", nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(r.Body)
	for range 1000 {
		if !lines.Scan() {
			t.Fatal(lines.Err())
		}
	}
	cancel()
	r.Body.Close()

	request, err = http.NewRequestWithContext(ctx, "GET", "http://n1/upgrade", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "echo")
	r, err = client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	stream, ok := r.Body.(io.ReadWriteCloser)
	if r.StatusCode != http.StatusSwitchingProtocols || !ok {
		t.Fatalf("upgrade: %s", r.Status)
	}
	for i := range 100 {
		text := fmt.Sprintf("message %d\n", i)
		if _, err := io.WriteString(stream, text); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(text))
		if _, err := io.ReadFull(stream, got); err != nil || string(got) != text {
			t.Fatalf("upgraded stream gave %q (%v)", got, err)
		}
	}
	stream.Close()
}
