package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/archive"
	"github.com/reckon-project/reckon/bus/archive/s3"
	"github.com/reckon-project/reckon/bus/bustest"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
)

func TestMain(m *testing.M) {
	s3.SetRetries(3)
	os.Exit(m.Run())
}

// store is an S3 store in memory with the bucket "history"; before sees each
// request and may answer in its place.
func store(t *testing.T, before func(http.ResponseWriter, *http.Request) bool) *httptest.Server {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("history"); err != nil {
		t.Fatal(err)
	}
	fake := gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before == nil || !before(w, r) {
			fake.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "reckon")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	return server
}

func open(t *testing.T, server *httptest.Server, where string) *s3.Bucket {
	t.Helper()
	a, err := s3.ParseAddress("s3://" + where + "?region=us-east-1&endpoint=" + server.URL)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s3.Open(a)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestConformance(t *testing.T) {
	for _, where := range []string{"history/a/cluster", "history"} {
		bustest.Blobs(t, open(t, store(t, nil), where))
	}
}

func refuse(w http.ResponseWriter, status int, code string) bool {
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>no</Message></Error>`, code)
	return true
}

func TestErrorsSayWhatToDo(t *testing.T) {
	var status int
	var code string
	server := store(t, func(w http.ResponseWriter, _ *http.Request) bool { return code != "" && refuse(w, status, code) })
	try := func(name string, b *s3.Bucket, class error, text string) {
		t.Helper()
		for what, err := range map[string]error{"check": b.Check(t.Context()), "put": b.Put(t.Context(), "x", strings.NewReader("x"))} {
			if !errors.Is(err, class) || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
	}
	try("no bucket", open(t, server, "elsewhere"), events.ErrInvalid, "has no bucket elsewhere: create it")
	b := open(t, server, "history")
	if err := b.Check(t.Context()); err != nil {
		t.Error(err)
	}
	status, code = http.StatusForbidden, "AccessDenied"
	try("denied", b, events.ErrInvalid, "refuses these credentials for the bucket history")
	status, code = http.StatusServiceUnavailable, "SlowDown"
	try("overloaded", b, events.ErrUnavailable, "SlowDown")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	try("nobody there", open(t, &httptest.Server{URL: "http://" + l.Addr().String()}, "history"), events.ErrUnavailable, "can't be reached")
	for _, name := range []string{"../x", "", "a//b"} {
		if err := b.Put(t.Context(), name, strings.NewReader("")); !errors.Is(err, events.ErrInvalid) {
			t.Errorf("the name %q: %v", name, err)
		}
	}
}

// A blob that is larger than one request, one that ends early, and seeking.
func TestLargeBlobs(t *testing.T) {
	b := open(t, store(t, nil), "history")
	large := bytes.Repeat([]byte("0123456789abcdef"), 17<<16) // 17 MiB
	if err := b.Put(t.Context(), "large", bytes.NewReader(large)); err != nil {
		t.Fatal(err)
	}
	r, err := b.Get(t.Context(), "large")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.(io.Seeker).Seek(16<<20+3, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if part, err := io.ReadAll(r); err != nil || !bytes.Equal(part, large[16<<20+3:]) {
		t.Errorf("its end is %d bytes (%v)", len(part), err)
	}
	fault := errors.New("fault")
	for _, n := range []int{10, 17 << 20} {
		if err := b.Put(t.Context(), "half", io.MultiReader(bytes.NewReader(large[:n]), failing{fault})); !errors.Is(err, fault) {
			t.Errorf("a reader that fails after %d bytes: %v", n, err)
		}
	}
	if _, err := b.Get(t.Context(), "half"); !errors.Is(err, events.ErrNotFound) {
		t.Errorf("it left something: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Nothing leaves the stream while the store doesn't take it; once it does, the
// history is there.
func TestNothingIsTrimmedBeforeItIsStored(t *testing.T) {
	var down atomic.Bool
	var refused atomic.Int32
	server := store(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && (down.Load() || refused.Add(1) == 1) { // and one hiccup later on
			return refuse(w, http.StatusServiceUnavailable, "SlowDown")
		}
		return false
	})
	b := archive.Wrap(memory.New(time.Now), open(t, server, "history/cluster"))
	for i := range 300 {
		if _, err := b.Log().Append(t.Context(), bus.Entry{Event: bustest.Decision(fmt.Sprintf("web-%d", i))}); err != nil {
			t.Fatal(err)
		}
	}
	stream := func() uint64 {
		first, _, err := b.Archived().Stream().Range(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return first
	}
	down.Store(true)
	if err := b.Archived().Move(t.Context(), 200); !errors.Is(err, events.ErrUnavailable) || stream() != 1 {
		t.Errorf("while it is down: %v, the stream begins at %d", err, stream())
	}
	down.Store(false)
	if err := b.Archived().Move(t.Context(), 200); err != nil || stream() != 200 || refused.Load() < 2 {
		t.Errorf("when it is back: %v, the stream begins at %d", err, stream())
	}
	n := 0
	for e, err := range b.Log().Read(t.Context(), 1) {
		if n++; err != nil || e.Sequence != uint64(n) {
			t.Fatalf("event %d is %v (%v)", n, e, err)
		}
	}
	if n != 300 {
		t.Errorf("%d events are there, want 300", n)
	}
	if size, err := b.Archived().Store().Size(context.Background()); err != nil || size.Events != 199 {
		t.Errorf("the archive holds %+v (%v)", size, err)
	}
}

func TestCredentialsFromAFile(t *testing.T) {
	var user atomic.Value
	server := store(t, func(_ http.ResponseWriter, r *http.Request) bool {
		user.Store(r.Header.Get("Authorization"))
		return false
	})
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "")
	}
	file := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(file, []byte("[default]\naws_access_key_id = filed\naws_secret_access_key = x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := s3.ParseAddress("s3://history?region=us-east-1&endpoint=" + server.URL)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s3.Open(a, filepath.Join(t.TempDir(), "none"), file)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _ := user.Load().(string); !strings.Contains(got, "Credential=filed/") {
		t.Errorf("asked as %q", got)
	}
}

func TestAddresses(t *testing.T) {
	for _, text := range []string{"s3://b/", "s3://b/a/c", "s3://b/?region=eu", "s3://b/a?endpoint=http%3A%2F%2Fh%3A9000&region=eu"} {
		if a, err := s3.ParseAddress(text); err != nil || a.String() != text {
			t.Errorf("%s is %+v, %s (%v)", text, a, a, err)
		}
	}
	for text, want := range map[string]string{
		"/srv/archive": "not the address", "s3:///x": "bucket's name", "s3://b?endpoint=host:9000": "endpoint",
		"s3://b?key=1": `no setting "key"`, "s3://me:secret@b/": "credentials don't belong",
	} {
		if a, err := s3.ParseAddress(text); !errors.Is(err, events.ErrInvalid) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret@") {
			t.Errorf("%s is %+v (%v)", text, a, err)
		}
	}
}
