package job_test

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/events"
)

var errQuota = apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", nil)

func TestIndexed(t *testing.T) {
	run(t, func(w *world) {
		w.Create(controllers.Job, indexedJob(4, 2, nil))
		w.settle()
		pod := w.ofIndex("1")
		env := pod.Spec.Containers[0].Env
		if pod.Spec.Hostname != "pi-1" || pod.Labels[batchv1.JobCompletionIndexAnnotation] != "1" || pod.Name[:5] != "pi-1-" ||
			len(env) != 1 || env[0].Name != "JOB_COMPLETION_INDEX" || env[0].ValueFrom.FieldRef.FieldPath != "metadata.labels['batch.kubernetes.io/job-completion-index']" {
			t.Errorf("pod is %v %v", pod.ObjectMeta, pod.Spec)
		}
		w.end(pod, controllertest.Succeeded)
		w.want("2 active, 1 succeeded, 0 failed, completed 1")
		w.end(w.ofIndex("2"), controllertest.Failed)
		w.want("1 active, 1 succeeded, 1 failed, completed 1")
		w.Advance(11 * time.Second)
		w.want("2 active, 1 succeeded, 1 failed, completed 1")
		w.end(w.ofIndex("0"), controllertest.Succeeded)
		w.end(w.ofIndex("2"), controllertest.Succeeded)
		w.want("1 active, 3 succeeded, 1 failed, completed 0-2")
		w.Patch(key, `{"spec":{"completions":3,"parallelism":3}}`) // elastic
		w.settle()
		w.settle()
		w.settle()
		w.want("0 active, 3 succeeded, 1 failed, completed 0-2" + complete)
	})
}

func TestIndexesFailByThemselves(t *testing.T) {
	run(t, func(w *world) {
		w.Create(controllers.Job, indexedJob(3, 3, func(s *batchv1.JobSpec) { s.BackoffLimitPerIndex = ptr(int32(1)) }))
		w.settle()
		first := w.ofIndex("0")
		w.end(first, controllertest.Failed)
		if got := controllertest.Get[*corev1.Pod](w.World, podKey(first.Name)); len(got.Finalizers) != 1 {
			t.Error("it lost the finalizer before its replacement was there")
		}
		w.end(w.ofIndex("1"), controllertest.Succeeded)
		w.Advance(11 * time.Second)
		w.want("2 active, 1 succeeded, 1 failed, completed 1")
		second := w.ofIndex("0")
		if second.Annotations[batchv1.JobIndexFailureCountAnnotation] != "1" {
			t.Errorf("annotations are %v", second.Annotations)
		}
		w.end(second, controllertest.Failed)
		w.want("1 active, 1 succeeded, 2 failed, completed 1, lost 0")
		w.end(w.ofIndex("2"), controllertest.Succeeded)
		w.want("0 active, 2 succeeded, 2 failed, completed 1,2, lost 0" + failed("FailedIndexes", "Job has failed indexes"))
	})
}

func TestTooManyIndexesFail(t *testing.T) {
	run(t, func(w *world) {
		w.Create(controllers.Job, indexedJob(5, 5, func(s *batchv1.JobSpec) { s.BackoffLimitPerIndex, s.MaxFailedIndexes = ptr(int32(0)), ptr(int32(1)) }))
		w.settle()
		w.end(w.ofIndex("3"), controllertest.Failed)
		w.want("4 active, 0 succeeded, 1 failed, lost 3")
		w.end(w.ofIndex("4"), controllertest.Failed)
		w.want("0 active, 0 succeeded, 5 failed, lost 3,4" + failed("MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"))
	})
}

func TestSuccessPolicy(t *testing.T) {
	run(t, func(w *world) {
		script := w.story("success-policy")
		w.Create(controllers.Job, indexedJob(4, 4, func(s *batchv1.JobSpec) {
			s.SuccessPolicy = &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{{SucceededIndexes: ptr("0-2"), SucceededCount: ptr(int32(2))}}}
		}))
		w.settle()
		w.end(w.ofIndex("3"), controllertest.Succeeded)
		w.end(w.ofIndex("2"), controllertest.Succeeded)
		w.want("2 active, 2 succeeded, 0 failed, completed 2,3")
		script.Step("two indexes succeed")
		w.end(w.ofIndex("0"), controllertest.Succeeded)
		w.want("0 active, 3 succeeded, 0 failed, completed 0,2,3" +
			"; SuccessCriteriaMet=True SuccessPolicy (Matched rules at index 0); Complete=True SuccessPolicy (Matched rules at index 0)")
		script.Step("the leader succeeds")
		script.Done()
	})
}

func TestFailurePolicy(t *testing.T) {
	rule := func(action batchv1.PodFailurePolicyAction, code int32) batchv1.PodFailurePolicyRule {
		return batchv1.PodFailurePolicyRule{Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
			Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{code}}}
	}
	policy := &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
		rule(batchv1.PodFailurePolicyActionFailJob, 42), rule(batchv1.PodFailurePolicyActionIgnore, 43),
		{Action: batchv1.PodFailurePolicyActionIgnore, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}},
		rule(batchv1.PodFailurePolicyActionFailIndex, 44),
	}}
	t.Run("job", func(t *testing.T) {
		run(t, func(w *world) {
			w.Create(controllers.Job, newJob(func(s *batchv1.JobSpec) { s.PodFailurePolicy, s.BackoffLimit = policy, ptr(int32(1)) }))
			for range 3 {
				w.settle()
				w.exit(w.pods()[0], 43)
				w.want("0 active, 0 succeeded, 0 failed")
				w.Advance(time.Minute)
			}
			w.PatchStatus(podKey(w.pods()[0].Name), `{"status":{"conditions":[{"type":"DisruptionTarget","status":"True"}]}}`)
			w.exit(w.pods()[0], 137)
			w.Advance(2 * time.Minute)
			w.want("1 active, 0 succeeded, 0 failed")
			last := w.pods()[0].Name
			w.exit(w.pods()[0], 42)
			w.want("0 active, 0 succeeded, 1 failed" + failed("PodFailurePolicy", "Container c for pod default/"+last+" failed with exit code 42 matching FailJob rule at index 0"))
		})
	})
	t.Run("index", func(t *testing.T) {
		run(t, func(w *world) {
			w.Create(controllers.Job, indexedJob(2, 2, func(s *batchv1.JobSpec) { s.PodFailurePolicy, s.BackoffLimitPerIndex = policy, ptr(int32(5)) }))
			w.settle()
			w.exit(w.ofIndex("1"), 44)
			w.want("1 active, 0 succeeded, 1 failed, lost 1")
			w.exit(w.ofIndex("0"), 43)
			w.Advance(11 * time.Second)
			if a := w.ofIndex("0").Annotations; a[batchv1.JobIndexFailureCountAnnotation] != "0" || a[batchv1.JobIndexIgnoredFailureCountAnnotation] != "1" {
				t.Errorf("annotations are %v", a)
			}
			w.exit(w.ofIndex("0"), 0)
			w.want("0 active, 1 succeeded, 1 failed, completed 0, lost 1" + failed("FailedIndexes", "Job has failed indexes"))
		})
	})
}

func podKey(name string) events.Key { return controllers.Pod.Key("default", name) }
