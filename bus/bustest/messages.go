package bustest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

func feedValues(t *testing.T, b bus.Bus) {
	ctx, cancel := context.WithCancel(contextFor(t))
	defer cancel()
	put := func(subject, value string) {
		var data []byte
		if value != "" {
			data = []byte(value)
		}
		if err := b.Feed().Put(ctx, subject, events.Header{"reckon-position": {"7"}}, data); err != nil {
			t.Fatal(err)
		}
	}
	put("feed.n1.pods.default.a", "1")
	put("feed.n1.pods.default.a", "2")
	put("feed.n1.pods.default.gone", "1")
	put("feed.n1.pods.default.gone", "")
	put("feed.n2.pods.default.b", "1")
	put("feed._.services.default.s", "1")
	var got []string
	for item, err := range b.Feed().Watch(ctx, "feed.n1.>", "feed._.>") {
		if err != nil {
			t.Fatal(err)
		}
		if item.Header["reckon-position"][0] != "7" {
			t.Errorf("header %v", item.Header)
		}
		got = append(got, fmt.Sprintf("%s=%s", strings.TrimPrefix(item.Subject, "feed."), item.Data))
		if len(got) == 3 {
			slices.Sort(got)
			want := []string{"_.services.default.s=1", "n1.pods.default.a=2", "n1.pods.default.gone="}
			if !slices.Equal(got, want) {
				t.Errorf("the feed has %v, want %v", got, want)
			}
			put("feed.n2.pods.default.b", "2")
			put("feed.n1.pods.default.a", "3")
		}
		if len(got) == 4 {
			if got[3] != "n1.pods.default.a=3" {
				t.Errorf("the change is %s", got[3])
			}
			return
		}
	}
}

func blobs(t *testing.T, b bus.Bus) { Blobs(t, b.Blobs()) }

// Blobs is the suite of a blob store that holds none yet.
func Blobs(t *testing.T, b bus.Blobs) {
	ctx := contextFor(t)
	if _, err := b.Get(ctx, "none"); !errors.Is(err, events.ErrNotFound) {
		t.Errorf("get of no blob: %v", err)
	}
	if names, err := b.List(ctx, ""); err != nil || len(names) > 0 {
		t.Errorf("a new store holds %v (%v)", names, err)
	}
	if err := b.Put(ctx, "checkpoint/1", strings.NewReader("to be replaced")); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("reckon ", 100_000)
	for name, text := range map[string]string{"checkpoint/2": big, "checkpoint/1": "one", "other": "x"} {
		if err := b.Put(ctx, name, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := b.Get(ctx, "checkpoint/2")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil || string(text) != big {
		t.Errorf("got %d bytes (%v), want %d", len(text), err, len(big))
	}
	r.Close()
	names, err := b.List(ctx, "checkpoint/")
	if err != nil || !slices.Equal(names, []string{"checkpoint/1", "checkpoint/2"}) {
		t.Errorf("list gives %v (%v)", names, err)
	}
	for range 2 {
		if err := b.Delete(ctx, "checkpoint/1"); err != nil {
			t.Fatal(err)
		}
	}
	names, err = b.List(ctx, "")
	if err != nil || !slices.Equal(names, []string{"checkpoint/2", "other"}) {
		t.Errorf("after a deletion list gives %v (%v)", names, err)
	}
}

func publishSubscribe(t *testing.T, b bus.Bus) {
	ctx, cancel := context.WithCancel(contextFor(t))
	defer cancel()
	got := make(chan bus.Message, 100)
	if err := b.Subscribe(ctx, "beat.*", func(m bus.Message) { got <- m }); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if err := b.Publish("beat.n1", fmt.Appendf(nil, "%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		m := <-got
		if m.Subject != "beat.n1" || string(m.Data) != fmt.Sprint(i) {
			t.Fatalf("message %d is %s %q", i, m.Subject, m.Data)
		}
	}
}

func requestServe(t *testing.T, b bus.Bus) {
	ctx, cancel := context.WithCancel(contextFor(t))
	defer cancel()
	if _, err := b.Request(ctx, "api.x.y", nil, nil); !errors.Is(err, events.ErrUnavailable) {
		t.Errorf("request to nobody: %v", err)
	}
	err := b.Serve(ctx, "api.*.y", func(_ context.Context, m bus.Message) (bus.Message, error) {
		if len(m.Data) == 0 {
			return bus.Message{}, errors.New("nothing asked")
		}
		return bus.Message{Header: events.Header{"Of": {m.Subject}}, Data: append([]byte("re: "), m.Data...)}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.Request(ctx, "api.x.y", events.Header{"A": {"1"}}, []byte("hello"))
	if err != nil || string(m.Data) != "re: hello" || m.Header["Of"][0] != "api.x.y" {
		t.Errorf("answer %q %v (%v)", m.Data, m.Header, err)
	}
	if _, err := b.Request(ctx, "api.x.y", nil, nil); err == nil || !strings.Contains(err.Error(), "nothing asked") {
		t.Errorf("an answer that is an error: %v", err)
	}
}

func leadHandover(t *testing.T, b bus.Bus) {
	ctx := contextFor(t)
	first, err := b.Lead(ctx, "scheduler", "a")
	if err != nil {
		t.Fatal(err)
	}
	if e, err := b.Log().Last(ctx, bus.LeaderKey("scheduler").Subject()); err != nil || e.Sequence != first.Epoch || e.Actor != "a" {
		t.Errorf("the leadership's event is %v (%v), the epoch %d", e, err, first.Epoch)
	}
	other, err := b.Lead(ctx, "controllers", "a")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Release()
	second := make(chan bus.Leadership, 1)
	errs := make(chan error, 1)
	go func() {
		l, err := b.Lead(ctx, "scheduler", "b")
		if err != nil {
			errs <- err
			return
		}
		second <- l
	}()
	first.Release()
	if first.Context.Err() == nil {
		t.Error("a released leadership's context goes on")
	}
	select {
	case l := <-second:
		if l.Epoch <= first.Epoch || l.Context.Err() != nil {
			t.Errorf("the next epoch is %d after %d", l.Epoch, first.Epoch)
		}
		l.Release()
	case err := <-errs:
		t.Fatal(err)
	}
	wctx, cancel := context.WithCancel(ctx)
	third, err := b.Lead(wctx, "scheduler", "c")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-third.Context.Done()
	fourth, err := b.Lead(ctx, "scheduler", "d")
	if err != nil {
		t.Fatal(err)
	}
	fourth.Release()
}

func feedOrder(t *testing.T, b bus.Bus) {
	want := []string{"feed._.services.default.s", "feed.n1.pods.default.b", "feed.n1.secrets.default.z", "feed.n1.pods.default.a"}
	for _, subject := range append([]string{want[3], want[0]}, want...) {
		if err := b.Feed().Put(contextFor(t), subject, nil, []byte("1")); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for item, err := range b.Feed().Watch(contextFor(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, item.Subject); len(got) == len(want) {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("present values come as %q, want %q", got, want)
	}
}
