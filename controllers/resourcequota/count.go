package resourcequota

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// counter counts what a namespace uses under one quota's names.
type counter struct {
	namespace string
	now       time.Time
	scopes    []corev1.ScopedResourceSelectorRequirement

	looked int       // objects looked at
	until  time.Time // when one that counts now will count no more; zero: none
}

// count gives the usage for each name of hard that is known.
func (c *counter) count(s *projections.Snapshot, volatile *projections.Projection, hard corev1.ResourceList) (corev1.ResourceList, error) {
	used := corev1.ResourceList{}
	var sources []source
	for name := range hard {
		of := sourcesOf(name)
		if len(of) > 0 {
			used[name] = units(0)
		}
		for _, what := range of {
			if !has(sources, what) {
				sources = append(sources, what)
			}
		}
	}
	for _, what := range sources {
		from := s
		if what == leases {
			if volatile == nil {
				continue
			}
			from = volatile.Snapshot()
		}
		for o := range from.List(what.group, what.resource, c.namespace) {
			c.looked++
			amounts, err := c.usage(s, what, o)
			if err != nil {
				return nil, err
			}
			add(used, amounts)
		}
	}
	return used, nil
}

// usage is what one object counts for.
func (c *counter) usage(s *projections.Snapshot, what source, o *events.Object) (corev1.ResourceList, error) {
	var in bool
	var err error
	switch v := o.Value.(type) {
	case *corev1.Pod:
		if in, err = c.matches(func(r corev1.ScopedResourceSelectorRequirement) (bool, error) { return podInScope(v, r) }); !in {
			return nil, err
		}
		return c.pod(v), nil
	case *corev1.PersistentVolumeClaim:
		if in, err = c.matches(func(r corev1.ScopedResourceSelectorRequirement) (bool, error) { return claimInScope(v, r) }); !in {
			return nil, err
		}
		return claimUsage(v), nil
	}
	if len(c.scopes) > 0 {
		return nil, nil
	}
	amounts := corev1.ResourceList{}
	for _, name := range what.counts() {
		amounts[name] = units(1)
	}
	switch v := o.Value.(type) {
	case *corev1.Service:
		serviceUsage(v, amounts)
	case *resourcev1.ResourceClaim:
		c.deviceUsage(s, v, amounts)
	}
	return amounts, nil
}
