package projections_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Decode takes what Encode writes, refuses everything else with an error, and
// what it takes is encoded to something that it takes again.
func FuzzDecode(f *testing.F) {
	b := newLog()
	s := newStory(f, 5, b.Log(), nil)
	for range 60 {
		s.step()
	}
	p := projections.New(b.Log())
	run(f, p)
	must(f, p.WaitFor(context.Background(), uint64(s.n)))
	whole := encoded(f, p.Snapshot())
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add(encoded(f, projections.New(b.Log()).Snapshot()))
	f.Add([]byte("RECKON-STATE\n\x20{\"format\":1,\"tables\":99999999999}"))
	f.Add([]byte("RECKON-STATE\n\x0c{\"format\":2}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		snapshot, err := projections.Decode(t.Context(), bytes.NewReader(data))
		if err != nil {
			if !errors.Is(err, events.ErrInvalid) {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if bytes.Equal(data, whole) && !bytes.Equal(encoded(t, snapshot), whole) {
			t.Fatal("decoded and encoded again, it differs")
		}
		if _, err := projections.Decode(t.Context(), bytes.NewReader(encoded(t, snapshot))); err != nil {
			t.Fatal(err)
		}
	})
}
