package deployment_test

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/deployment"
	"github.com/reckon-project/reckon/controllers/endpointslice"
	"github.com/reckon-project/reckon/controllers/garbage"
	"github.com/reckon-project/reckon/controllers/namespace"
	"github.com/reckon-project/reckon/controllers/podgc"
	"github.com/reckon-project/reckon/controllers/replicaset"
)

// BenchmarkReplicas2000 is a Deployment of 2,000 replicas from its creation
// until all are available, on the in-memory bus with pretended nodes.
func BenchmarkReplicas2000(b *testing.B) {
	for b.Loop() {
		w := controllertest.NewWorld(b)
		w.Run(deployment.New(), replicaset.New(), garbage.New(), podgc.New(), namespace.New(nil), endpointslice.New())
		var nodes []string
		for i := range 100 {
			nodes = append(nodes, fmt.Sprintf("n%d", i))
			w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodes[i]}})
		}
		w.Schedule(nodes...)
		w.Create(controllers.Deployment, newDeployment(2000, "web:1"))
		for _, err := range w.Projection.Changes(b.Context(), 0) {
			if err != nil {
				b.Fatal(err)
			}
			if controllertest.Get[*appsv1.Deployment](w, web).Status.AvailableReplicas == 2000 {
				break
			}
		}
		b.ReportMetric(float64(w.Snapshot().Position()), "events")
		w.Stop()
	}
}
