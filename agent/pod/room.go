package pod

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	helpers "k8s.io/component-helpers/resource"
)

// Room is what a node has, and what its pods take of it: their requests, from
// before their first container until their last one has ended. Whoever bound a
// pod, what runs never requests more than the node has (docs/adr/008).
type Room struct {
	mu      sync.Mutex
	has     v1.ResourceList
	taken   map[string]*place // by uid
	unknown map[string]bool   // pods that run, and of which nothing else is known yet
	waiting map[string]func() // by uid
}

// place is what one pod takes.
type place struct {
	requests v1.ResourceList
	ending   bool
}

// NewRoom gives the room of a node on which sandboxes of these pods exist already.
func NewRoom(has v1.ResourceList, running ...string) *Room {
	r := &Room{has: has, taken: map[string]*place{}, unknown: map[string]bool{}, waiting: map[string]func(){}}
	for _, uid := range running {
		r.unknown[uid] = true
	}
	return r
}

// answer is whether a pod may run.
type answer int

const (
	taken  answer = iota
	later         // it fits as soon as others have ended
	unsure        // it fits beside those that are known; others run, too
	short         // it doesn't
)

// shortage says in the kubelet's words what a node has too little of.
type shortage struct{ reason, message string }

// take gives a pod its place if there is room, or if it runs already or has to (must).
// wake is called when there may be room for one that got none.
func (r *Room) take(pod *v1.Pod, must bool, wake func()) (answer, shortage) {
	if r == nil {
		return taken, shortage{}
	}
	uid := string(pod.UID)
	requests := requestsOf(pod)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.unknown, uid)
	if p := r.taken[uid]; p != nil {
		p.requests = requests
		return taken, shortage{}
	}
	lack, lasting := r.lacks(requests, false), r.lacks(requests, true)
	if must || lack == "" && len(r.unknown) == 0 {
		r.taken[uid] = &place{requests: requests}
		delete(r.waiting, uid)
		return taken, shortage{}
	}
	r.waiting[uid] = wake
	switch {
	case lack == "":
		return unsure, shortage{}
	case lasting == "":
		return later, shortage{}
	}
	asked, has := requests[lasting], r.has[lasting]
	used := r.used(lasting, true)
	return short, shortage{"OutOf" + string(lasting), fmt.Sprintf("Pod was rejected: Node didn't have enough resource: %s, requested: %d, used: %d, capacity: %d",
		lasting, units(lasting, asked), units(lasting, used), units(lasting, has))}
}

// resize takes what a pod that runs asks for now, if there is room. Otherwise it says what
// is short, and wake is called when there may be more.
func (r *Room) resize(pod *v1.Pod, wake func()) (shortage, bool) {
	if r == nil {
		return shortage{}, true
	}
	requests := requestsOf(pod)
	r.mu.Lock()
	defer r.mu.Unlock()
	uid := string(pod.UID)
	old := r.taken[uid]
	delete(r.taken, uid)
	lack := r.lacks(requests, false)
	if old != nil && lack != "" {
		had, wants := old.requests[lack], requests[lack]
		if wants.Cmp(had) <= 0 {
			lack = "" // it was too much already, and becomes no more
		}
	}
	if lack == "" {
		r.taken[uid] = &place{requests: requests}
		delete(r.waiting, uid)
		return shortage{}, true
	}
	used := r.used(lack, false)
	if old != nil {
		r.taken[uid] = old
	}
	r.waiting[uid] = wake
	asked, has := requests[lack], r.has[lack]
	return shortage{"OutOf" + string(lack), fmt.Sprintf("Node didn't have enough resource: %s, requested: %d, used: %d, capacity: %d",
		lack, units(lack, asked), units(lack, used), units(lack, has))}, false
}

// lacks names the first resource of which there is too little; what the node
// doesn't have at all isn't its to count. lasting leaves out pods that end.
func (r *Room) lacks(requests v1.ResourceList, lasting bool) v1.ResourceName {
	for _, name := range slices.Sorted(maps.Keys(requests)) {
		has, ok := r.has[name]
		if !ok {
			continue
		}
		sum := r.used(name, lasting)
		sum.Add(requests[name])
		if sum.Cmp(has) > 0 {
			return name
		}
	}
	return ""
}

func (r *Room) used(name v1.ResourceName, lasting bool) (sum resource.Quantity) {
	for _, p := range r.taken {
		if !lasting || !p.ending {
			sum.Add(p.requests[name])
		}
	}
	return sum
}

// ends says that a pod is being stopped.
func (r *Room) ends(uid types.UID) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.taken[string(uid)]; p != nil {
		p.ending = true
	}
}

// Leave says that nothing of a pod runs any more.
func (r *Room) Leave(uid string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.taken, uid)
	delete(r.unknown, uid)
	delete(r.waiting, uid)
	for _, uid := range slices.Sorted(maps.Keys(r.waiting)) {
		r.waiting[uid]()
	}
}

func requestsOf(pod *v1.Pod) v1.ResourceList {
	requests := helpers.PodRequests(pod, helpers.PodResourcesOptions{UseStatusResources: true})
	requests[v1.ResourcePods] = *resource.NewQuantity(1, resource.DecimalSI)
	return requests
}

func units(name v1.ResourceName, q resource.Quantity) int64 {
	if name == v1.ResourceCPU {
		return q.MilliValue()
	}
	return q.Value()
}
