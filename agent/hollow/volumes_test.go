package hollow_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/agent/hollow"
	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
)

// A node reports that a volume's folder is gone: of a volume that is being
// deleted and is its own, not of another, and once for all versions of one.
func TestANodeReportsAVolumeThatIsGone(t *testing.T) {
	b := memory.New(time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- hollow.Run(ctx, hollow.Options{Nodes: 1,
			Connect: func(context.Context, string) (bus.Bus, error) { return b, nil },
			API:     func(string) http.RoundTripper { return api{} }})
	}()
	now := metav1.NewTime(time.Unix(1000, 0))
	position := 0
	put := func(name, node string, change func(*v1.PersistentVolume)) {
		v := &v1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), DeletionTimestamp: &now,
			Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": "reckon.dev/local-path", "reckon.dev/node": node}}}
		v.Spec.PersistentVolumeReclaimPolicy = v1.PersistentVolumeReclaimDelete
		v.Status.Phase = v1.VolumeReleased
		if change != nil {
			change(v)
		}
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		position++
		if err := b.Feed().Put(ctx, "feed.hollow-0.persistentvolumes._."+name, events.Header{"reckon-position": {fmt.Sprint(position)}}, data); err != nil {
			t.Fatal(err)
		}
	}
	put("bound", "hollow-0", func(v *v1.PersistentVolume) { v.Status.Phase = v1.VolumeBound })
	put("kept", "hollow-0", func(v *v1.PersistentVolume) { v.Spec.PersistentVolumeReclaimPolicy = v1.PersistentVolumeReclaimRetain })
	put("alive", "hollow-0", func(v *v1.PersistentVolume) { v.DeletionTimestamp = nil })
	put("elsewhere", "hollow-1", nil)
	put("gone", "hollow-0", nil)
	put("gone", "hollow-0", func(v *v1.PersistentVolume) { v.Finalizers = nil })
	put("last", "hollow-0", nil)
	seen := map[string]int{}
	for batch, err := range b.Log().Follow(ctx, 1, "fact.*.core.persistentvolumes.>") {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch {
			seen[e.Key.Name]++
			if string(e.Data) != `{"status":{"reason":"FolderRemoved"}}` {
				t.Errorf("%s: reported %s", e.Key.Name, e.Data)
			}
		}
		if seen["last"] > 0 && seen["gone"] > 0 {
			break
		}
	}
	if len(seen) != 2 || seen["gone"] != 1 || seen["last"] != 1 {
		t.Errorf("reported %v, not gone and last once each", seen)
	}
	cancel()
	if err := <-done; err != context.Canceled {
		t.Error(err)
	}
}
