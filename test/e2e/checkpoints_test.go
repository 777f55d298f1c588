package e2e

import (
	"testing"

	busserver "github.com/reckon-project/reckon/bus/server"
)

// removeCheckpoints deletes every checkpoint of a server that is stopped. There
// must have been some: a clean stop writes one.
func removeCheckpoints(t *testing.T, s *server) {
	t.Helper()
	embedded, err := busserver.Start(busserver.Options{Dir: s.data})
	if err != nil {
		t.Fatal(err)
	}
	defer embedded.Shutdown()
	b, err := embedded.Connect("component:test")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	names, err := b.Blobs().List(t.Context(), "checkpoint/")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		t.Fatal("a clean stop left no checkpoint")
	}
	for _, name := range names {
		if err := b.Blobs().Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
}
