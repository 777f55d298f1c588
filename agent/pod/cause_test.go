package pod_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/agent/feed"
	"github.com/reckon-project/reckon/agent/pod"
	"github.com/reckon-project/reckon/agent/report"
)

// chain gives facts sequences and notes what each answers.
type chain struct {
	*transcript
	sequence uint64
	lines    []string
	told     chan func()
}

func newChain(t *testing.T) *chain {
	c := &chain{transcript: &transcript{begin: time.Now()}, sequence: 100, told: make(chan func(), 100)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for f := range c.told {
			f()
		}
	}()
	t.Cleanup(func() { close(c.told); <-done })
	return c
}

func (c *chain) Report(f report.Fact) {
	c.transcript.Report(f)
	c.sequence++
	c.lines = append(c.lines, fmt.Sprintf("%d answers %v in %s: %s", c.sequence, f.Cause, f.Traceparent, f.Reason))
	sequence := c.sequence
	c.told <- func() { f.Told(sequence) }
}

func TestFactsNameWhatTheyAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t)
		p := onePod(map[string]string{"hollow.reckon.dev/exit-after": "30s", "hollow.reckon.dev/exit-code": "1"}, v1.RestartPolicyAlways)
		run(t, c, p, feed.Origin{Cause: 7, Traceparent: "placed"}, 70*time.Second, func(w *pod.Worker) {
			labelled := p.DeepCopy()
			labelled.Labels = map[string]string{"k": "v"}
			w.Update(labelled, feed.Origin{Cause: 40, Traceparent: "labelled"}) // nothing for the node to do
			time.Sleep(time.Second)
			gone := labelled.DeepCopy()
			now := metav1.Now()
			gone.DeletionTimestamp = &now
			w.Update(gone, feed.Origin{Cause: 50, Traceparent: "deleted"})
		})
		expect(t, c.lines,
			"101 answers [7] in placed: Pulled,Created,Started",
			"102 answers [101] in placed: Pulled,Created,Started",
			"103 answers [50] in deleted: Killing")
	})
}
