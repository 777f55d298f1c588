package news_test

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/fields"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway/news"
)

func TestNewsOfBeforeTheStart(t *testing.T) {
	d := newDesk(t, news.Options{})
	note := func(text string) events.Event {
		return events.Event{Type: events.Updated, Source: "test", Reason: "Counting", Note: text}
	}
	d.append("a", created("admin"))
	d.append("a", note("long ago"))
	d.later(2 * time.Hour)
	d.append("a", note("before"))
	d.append("a", note("again"))

	d.restart(news.Options{})
	d.append("a", note("again"))
	d.append("a", note("after"))
	want := []string{
		"Normal Pod/a Counting ×1: before (test)", "Normal Pod/a Counting ×2: again (test)", "Normal Pod/a Counting ×1: after (test)",
	}
	d.want(d.list(fields.Everything()), want...)

	// What is told first is forgotten first.
	d.restart(news.Options{Most: 2})
	d.append("a", note("last"))
	d.want(d.list(fields.Everything()), "Normal Pod/a Counting ×1: after (test)", "Normal Pod/a Counting ×1: last (test)")
}
