package namespace

import (
	"errors"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// contents is what a namespace still holds, and what is known about emptying it.
type contents struct {
	present    []*events.Object // to be deleted now
	resources  map[string]int   // what is there, by resource
	finalizers map[string]int   // what holds it, by finalizer

	unanswered []string // groups and versions whose objects nobody can name
	failure    error    // what stopped the last deletes
}

// look finds what is in a namespace: its pods, and if there are none everything else.
func look(s *projections.Snapshot, namespace string) contents {
	c := contents{resources: map[string]int{}, finalizers: map[string]int{}}
	c.add(s, namespace, "", "pods")
	if len(c.resources) > 0 {
		return c
	}
	for group, resource := range s.Resources() {
		c.add(s, namespace, group, resource)
	}
	return c
}

func (c *contents) add(s *projections.Snapshot, namespace, group, resource string) {
	name := resource + "." + group
	for o := range s.List(group, resource, namespace) {
		if o.Key.Namespace == "" {
			continue
		}
		c.resources[name]++
		m := o.Meta()
		for _, f := range m.GetFinalizers() {
			c.finalizers[f]++
		}
		if m.GetDeletionTimestamp() == nil {
			c.present = append(c.present, o)
		}
	}
}

// fleeting gives deletes for what is left in the VOLATILE stream.
func (e emptier) fleeting(namespace string) []controllers.Intent {
	if e.volatile == nil {
		return nil
	}
	var intents []controllers.Intent
	s := e.volatile.Snapshot()
	for group, resource := range s.Resources() {
		for o := range s.List(group, resource, namespace) {
			intents = append(intents, controllers.Delete(o))
		}
	}
	return intents[:min(len(intents), burst)]
}

// failedAt names the intent that an error is about, "" if it doesn't say.
func failedAt(err error) string {
	var refused *controllers.APIError
	if errors.As(err, &refused) {
		return refused.Intent
	}
	return ""
}
