package resourcequota

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// raises remembers when each quota was last written by others than this
// controller: by admission, which lets something in.
type raises struct {
	mu     sync.Mutex
	raised map[events.Key]raise
}

type raise struct {
	version uint64 // of the quota, the newest seen
	at      time.Time
}

// changed notes who wrote a quota, and maps it to itself unless that was this
// controller.
func (r *raises) changed(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
	key := controllers.KeyOf(c)
	r.mu.Lock()
	defer r.mu.Unlock()
	quota, ok := valueOf(c.New)
	if !ok {
		delete(r.raised, key)
		return
	}
	seen := r.raised[key]
	seen.version = c.New.Version
	switch {
	case c.Event == nil:
		seen.at = admitted(quota)
	case c.Event.Type != events.Progressed:
		seen.at = c.Event.Time
	}
	r.raised[key] = seen
	if c.Event == nil || c.Event.Type != events.Progressed {
		add(key)
	}
}

// unsettled is how long to wait until nothing is on its way that admission has
// let in, 0 if that is so already.
func (r *raises) unsettled(o *events.Object, quota *corev1.ResourceQuota, now time.Time) time.Duration {
	r.mu.Lock()
	seen, ok := r.raised[o.Key]
	r.mu.Unlock()
	switch {
	case !ok:
		seen.at = admitted(quota)
	case seen.version < o.Version:
		return settle // the newest change is still to be seen
	}
	if quota.Status.Used == nil {
		return 0
	}
	return max(0, seen.at.Add(settle).Sub(now))
}

// admitted is when a quota's status was last written through the API, zero if
// it never was. It is told in whole seconds.
func admitted(quota *corev1.ResourceQuota) time.Time {
	var last time.Time
	for i := range quota.ManagedFields {
		if f := &quota.ManagedFields[i]; f.Subresource == "status" && f.Time != nil && f.Time.After(last) {
			last = f.Time.Add(time.Second)
		}
	}
	return last
}
