package trust

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"
)

func open(t *testing.T, dir string) *Authority {
	t.Helper()
	a, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// shake lets a client and a server meet and returns what the client, then the
// server made of it.
func shake(t *testing.T, client, server *tls.Config) (error, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		raw, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer raw.Close()
		c := tls.Server(raw, server)
		err = c.HandshakeContext(t.Context())
		if err == nil {
			_, err = c.Write([]byte{1})
		}
		done <- err
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), client)
	if err == nil {
		// A server's refusal of our certificate shows with the first byte.
		_, err = c.Read(make([]byte, 1))
		c.Close()
	}
	return err, <-done
}

func TestAClientKnowsItsServers(t *testing.T) {
	ours, other := open(t, t.TempDir()), open(t, t.TempDir())
	for name, client := range map[string]*tls.Config{"hash": Pinned(ours.Hash()), "certificate": must(Client(ours.PEM()))} {
		if err, _ := shake(t, client, ours.Listen()); err != nil {
			t.Errorf("by %s: our own server is refused: %v", name, err)
		}
		if err, _ := shake(t, client, other.Listen()); err == nil {
			t.Errorf("by %s: a server of another cluster is believed", name)
		}
	}
	// Somebody who appends our authority's certificate to a chain of his own.
	forged := must(other.certificate())
	forged.Certificate = append(forged.Certificate, ours.cert.Raw)
	if err, _ := shake(t, Pinned(ours.Hash()), other.Listen()); !errors.Is(err, ErrStranger) {
		t.Errorf("a forged chain gave %v", err)
	}
}

func TestServersKnowEachOther(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	second := open(t, dir)
	if first.Hash() != second.Hash() {
		t.Fatal("the authority wasn't kept")
	}
	if c, s := shake(t, second.Peers(), first.Peers()); c != nil || s != nil {
		t.Errorf("two servers of a cluster refuse each other: %v, %v", c, s)
	}
	other := open(t, t.TempDir())
	stranger := other.Peers()
	stranger.RootCAs = first.Peers().RootCAs // he doesn't mind whom he talks to
	if c, s := shake(t, stranger, first.Peers()); c == nil || s == nil {
		t.Errorf("a stranger was let in between servers: %v, %v", c, s)
	}
	if c, s := shake(t, Pinned(first.Hash()), first.Peers()); c == nil || s == nil {
		t.Errorf("a program without a certificate was let in between servers: %v, %v", c, s)
	}
}

func TestACertificateIsRenewed(t *testing.T) {
	a := open(t, t.TempDir())
	now := time.Now()
	a.now = func() time.Time { return now }
	first := must(a.certificate())
	if must(a.certificate()) != first {
		t.Error("it was made anew at once")
	}
	now = now.Add(serverLife/2 + time.Hour)
	if must(a.certificate()) == first {
		t.Error("it wasn't renewed at half its life")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
