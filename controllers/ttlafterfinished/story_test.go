package ttlafterfinished_test

import (
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/ttlafterfinished"
)

func TestStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.InFlight = 1
		w.Run(ttlafterfinished.New())
		script := controllertest.NewTranscript(w, "ttl")
		key, ten := controllers.Job.Key("default", "soon"), int32(10)
		w.Create(controllers.Job, &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "soon"}, Spec: batchv1.JobSpec{TTLSecondsAfterFinished: &ten}})
		w.Advance(time.Hour)
		script.Step("a job runs for an hour")
		now := time.Now().UTC().Format(time.RFC3339)
		w.PatchStatus(key, `{"status":{"completionTime":%q,"conditions":[{"type":"Complete","status":"True","lastTransitionTime":%q}]}}`, now, now)
		w.Advance(9 * time.Second)
		script.Step("it ends")
		w.Patch(key, `{"spec":{"ttlSecondsAfterFinished":60}}`)
		w.Advance(50 * time.Second)
		script.Step("it may stay longer")
		w.Advance(2 * time.Second)
		script.Step("its time is up")
		script.Done()
	})
}
