package pod

import (
	"fmt"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

func asks(uid string, cpu int64) *v1.Pod {
	return &v1.Pod{ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid)}, Spec: v1.PodSpec{Containers: []v1.Container{{
		Resources: v1.ResourceRequirements{Requests: v1.ResourceList{v1.ResourceCPU: *resource.NewMilliQuantity(cpu, resource.DecimalSI)}},
	}}}}
}

func node(cpu, pods int64) v1.ResourceList {
	return v1.ResourceList{v1.ResourceCPU: *resource.NewMilliQuantity(cpu, resource.DecimalSI), v1.ResourcePods: *resource.NewQuantity(pods, resource.DecimalSI)}
}

// Whatever comes and goes, in any order: who was let in never asks for more
// than there is, and nobody is kept out while there is room.
func TestRoomIsNeverOverfull(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const cpu, pods = 1000, 5
		room := NewRoom(node(cpu, pods))
		in, woken := map[string]int64{}, map[string]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				sum := int64(0)
				for _, asked := range in {
					sum += asked
				}
				if sum > cpu || len(in) > pods {
					t.Fatalf("%d pods run and ask for %dm", len(in), sum)
				}
			},
			"come": func(t *rapid.T) {
				uid, asked, sum := fmt.Sprint(rapid.IntRange(1, 9).Draw(t, "pod")), rapid.Int64Range(0, 600).Draw(t, "cpu"), int64(0)
				if _, ok := in[uid]; ok {
					return
				}
				for _, others := range in {
					sum += others
				}
				woken[uid] = false
				got, lack := room.take(asks(uid, asked), false, func() { woken[uid] = true })
				if fits := sum+asked <= cpu && len(in) < pods; (got == taken) != fits || (got == short) != (lack.reason != "") {
					t.Fatalf("%d (%v) for one of %dm beside %d of %dm", got, lack, asked, len(in), sum)
				}
				if got == taken {
					in[uid] = asked
				}
			},
			"end": func(t *rapid.T) { room.ends(types.UID(fmt.Sprint(rapid.IntRange(1, 9).Draw(t, "pod")))) },
			"go": func(t *rapid.T) {
				uid := fmt.Sprint(rapid.IntRange(1, 9).Draw(t, "pod"))
				room.Leave(uid)
				delete(in, uid)
			},
		})
	})
}

func TestRoomSaysWhatIsShort(t *testing.T) {
	room := NewRoom(node(1000, 5), "unseen")
	awake := 0
	wake := func() { awake++ }
	if got, _ := room.take(asks("a", 600), false, wake); got != unsure {
		t.Error("a pod was let in while one runs of which nothing is known")
	}
	if got, _ := room.take(asks("unseen", 900), true, wake); got != taken {
		t.Error("a pod that runs has no place")
	}
	got, lack := room.take(asks("a", 600), false, wake)
	want := shortage{"OutOfcpu", "Pod was rejected: Node didn't have enough resource: cpu, requested: 600, used: 900, capacity: 1000"}
	if got != short || lack != want {
		t.Errorf("%d: %v, want %v", got, lack, want)
	}
	room.ends("unseen")
	if got, _ = room.take(asks("a", 600), false, wake); got != later {
		t.Errorf("%d beside one that ends", got)
	}
	room.Leave("unseen")
	if got, _ = room.take(asks("a", 600), false, wake); got != taken || awake != 1 {
		t.Errorf("%d when there was room; woken %d times", got, awake)
	}
}
