package hollow_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/agent/hollow"
	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
)

type api struct{}

func (api) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 201, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"metadata":{"uid":"u"}}`)), Request: r}, nil
}

func TestHundredNodesRunPodsWithOneFactEach(t *testing.T) {
	const nodes, each = 100, 20
	b := memory.New(time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- hollow.Run(ctx, hollow.Options{Nodes: nodes, Settle: time.Hour,
			Connect: func(context.Context, string) (bus.Bus, error) { return b, nil },
			API:     func(string) http.RoundTripper { return api{} }})
	}()
	for i := range nodes * each {
		p := &v1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("p-%d", i), UID: types.UID(uuid.NewString())},
			Spec: v1.PodSpec{NodeName: fmt.Sprintf("hollow-%d", i%nodes), RestartPolicy: v1.RestartPolicyAlways,
				Containers: []v1.Container{{Name: "main", Image: "web"}}}}
		data, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		header := events.Header{"reckon-position": {fmt.Sprint(i + 1)}}
		if err := b.Feed().Put(ctx, fmt.Sprintf("feed.%s.pods.default.%s", p.Spec.NodeName, p.Name), header, data); err != nil {
			t.Fatal(err)
		}
	}
	facts := map[string]int{}
	ready := 0
	for batch, err := range b.Log().Follow(ctx, 1, "fact.*.core.pods.>") {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch {
			facts[e.UID]++
			if strings.Contains(string(e.Data), `"phase":"Running"`) {
				ready++
			}
		}
		if ready == nodes*each {
			break
		}
	}
	for uid, n := range facts {
		if n != 1 {
			t.Errorf("pod %s took %d facts", uid, n)
		}
	}
	cancel()
	if err := <-done; err != context.Canceled {
		t.Error(err)
	}
}
