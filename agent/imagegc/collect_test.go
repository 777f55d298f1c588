package imagegc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	testclock "k8s.io/utils/clock/testing"

	"github.com/reckon-project/reckon/agent/imagegc"
)

// store is a disk of 1000 bytes with images.
type store struct {
	images  []*cri.Image
	other   int64 // that something else takes
	removed []string
}

func (s *store) ListImages(context.Context) ([]*cri.Image, error) { return s.images, nil }

func (s *store) RemoveImage(_ context.Context, id string) error {
	if strings.HasPrefix(id, "stuck") {
		return errors.New("stuck")
	}
	s.removed = append(s.removed, id)
	s.images = slices.DeleteFunc(slices.Clone(s.images), func(i *cri.Image) bool { return i.Id == id })
	return nil
}

func (s *store) space() (int64, int64, error) {
	left := 1000 - s.other
	for _, i := range s.images {
		left -= int64(i.Size)
	}
	return left, 1000, nil
}

func (s *store) add(id string, size uint64) {
	s.images = append(s.images, &cri.Image{Id: id, Size: size, RepoTags: []string{"reg/" + id + ":1"}, Pinned: id == "pinned"})
}

func newCollector(s *store, inUse map[string]bool) (*imagegc.Collector, *testclock.FakePassiveClock) {
	clock := testclock.NewFakePassiveClock(time.Unix(1000, 0))
	return &imagegc.Collector{
		Store: s, Clock: clock, Policy: imagegc.Policy{High: 85, Low: 80, MinAge: 2 * time.Minute},
		InUse: func(context.Context) (map[string]bool, error) { return inUse, nil },
		Ours:  func(id string) bool { return id != "imported" }, Space: s.space,
	}, clock
}

func collect(t *testing.T, c *imagegc.Collector, s *store, want string) error {
	t.Helper()
	s.removed = nil
	_, err := c.Collect(t.Context())
	if got := fmt.Sprint(s.removed); got != want {
		t.Errorf("removed %s, want %s", got, want)
	}
	return err
}

func TestLongestUnusedGoesFirst(t *testing.T) {
	s := &store{other: 500}
	inUse := map[string]bool{"b": true, "reg/c:1": true}
	c, clock := newCollector(s, inUse)
	for _, id := range []string{"pinned", "imported", "a", "b", "c"} {
		s.add(id, 60)
	}
	if err := collect(t, c, s, "[]"); err != nil { // at 80 %
		t.Error(err)
	}
	clock.SetTime(clock.Now().Add(time.Hour))
	s.other = 540 // 84 %
	delete(inUse, "b")
	if err := collect(t, c, s, "[]"); err != nil {
		t.Error(err)
	}
	s.add("young", 60) // 90 %
	delete(inUse, "reg/c:1")
	clock.SetTime(clock.Now().Add(time.Minute))
	if err := collect(t, c, s, "[a b]"); err != nil { // never used, then used longest ago
		t.Error(err)
	}
	s.other = 900
	var short *imagegc.ShortError
	if err := collect(t, c, s, "[c]"); !errors.As(err, &short) || short.Wanted != 340 || short.Eligible != 60 {
		t.Errorf("it says %v", err)
	}
}

func TestOldImagesGo(t *testing.T) {
	s := &store{}
	c, clock := newCollector(s, map[string]bool{"used": true})
	c.Policy.MaxAge = time.Hour
	s.add("used", 10)
	s.add("old", 10)
	s.add("stuck", 10)
	if err := collect(t, c, s, "[]"); err != nil {
		t.Error(err)
	}
	clock.SetTime(clock.Now().Add(2 * time.Hour))
	s.add("new", 10)
	if err := collect(t, c, s, "[old]"); err == nil {
		t.Error("what can't be removed isn't told")
	}
	s.removed = nil
	clock.SetTime(clock.Now().Add(3 * time.Minute))
	if freed, err := c.RemoveUnused(t.Context()); freed != 10 || err == nil || fmt.Sprint(s.removed) != "[new]" {
		t.Errorf("freed %d of %v, %v", freed, s.removed, err)
	}
}
