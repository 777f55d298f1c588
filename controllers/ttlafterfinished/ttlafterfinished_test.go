package ttlafterfinished_test

import (
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/garbage"
	"github.com/reckon-project/reckon/controllers/job"
	"github.com/reckon-project/reckon/controllers/podgc"
	"github.com/reckon-project/reckon/controllers/ttlafterfinished"
)

func TestDeletedAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(job.New(), garbage.New(), podgc.New(), ttlafterfinished.New())
		w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
		w.Nodes.Become(func(*corev1.Pod) controllertest.State { return controllertest.Succeeded })
		w.Schedule("n1")
		ttl := func(seconds int32) *int32 { return &seconds }
		for name, seconds := range map[string]*int32{"stays": nil, "soon": ttl(10), "later": ttl(20)} {
			w.Create(controllers.Job, &batchv1.Job{
				ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
				Spec: batchv1.JobSpec{TTLSecondsAfterFinished: seconds, Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
					RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "i"}}}}},
			})
		}
		want := func(jobs int) {
			t.Helper()
			if s := w.Snapshot(); s.Len("batch", "jobs") != jobs || s.Len("", "pods") != jobs {
				t.Errorf("%d jobs and %d pods are there, want %d", s.Len("batch", "jobs"), s.Len("", "pods"), jobs)
			}
		}
		w.Advance(9 * time.Second)
		want(3)
		w.Patch(controllers.Job.Key("default", "later"), `{"spec":{"ttlSecondsAfterFinished":100}}`)
		w.Advance(2 * time.Second)
		want(2)
		w.Advance(80 * time.Second)
		want(2)
		w.Advance(10 * time.Second)
		want(1)
	})
}
