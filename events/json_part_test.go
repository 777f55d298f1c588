package events_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/reckon-project/reckon/events"
)

// Decoding with parts that other objects have gives what decoding without gives.
func TestSharedPartsChangeNoResult(t *testing.T) {
	words := []string{"a", "b", "node.kubernetes.io/not-ready", `\u0041`, " ", "2026-11-21T12:00:00Z"}
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom(words)
		toleration := func() string {
			return fmt.Sprintf(`{"key":"%s","operator":"%s","effect":"NoExecute"%s}`, word.Draw(t, "key"), word.Draw(t, "operator"),
				rapid.SampledFrom([]string{"", "", `,"tolerationSeconds":300`, `,"key":"twice"`, `,"value":7`, ","}).Draw(t, "end"))
		}
		condition := func() string {
			return fmt.Sprintf(`{"type":"%s","status":"True","reason":"%s"%s}`, word.Draw(t, "type"), word.Draw(t, "reason"),
				rapid.SampledFrom([]string{"", "", `,"$patch":"delete"`}).Draw(t, "patch"))
		}
		list := func(of func() string) string {
			var all []string
			for range rapid.IntRange(0, 3).Draw(t, "n") {
				all = append(all, of())
			}
			return strings.Join(all, ",")
		}
		pod := fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"n","labels":{"app":"%s","release":"%s"}},"spec":{"tolerations":[%s]},"status":{"conditions":[%s]}}`,
			word.Draw(t, "app"), word.Draw(t, "release"), list(toleration), list(condition))
		want, wantErr := events.DecodeObject(pod)
		got, err := events.DecodeShared(pod)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\ngot  %+v %v\nwant %+v %v", pod, got, err, want, wantErr)
		}
		if err != nil {
			return
		}
		patch := fmt.Appendf(nil, `{"spec":{"tolerations":[%s]},"status":{"conditions":[%s]}}`, list(toleration), list(condition))
		want, wantErr = events.ApplyPatch(want, patch)
		got, err = events.ApplyShared(got, patch)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\ngot  %+v %v\nwant %+v %v", patch, got, err, want, wantErr)
		}
	})
}

// Who appends to a list of a shared object makes a list of his own, and who
// doesn't ask for a shared object gets one that he may write to.
func TestSharedPartsAreNotWrittenTo(t *testing.T) {
	var shared []*corev1.Pod
	for range 4 {
		obj, err := events.DecodeShared([]byte(podJSON))
		if err != nil {
			t.Fatal(err)
		}
		shared = append(shared, obj.(*corev1.Pod))
	}
	if a, b := shared[2], shared[3]; &a.Spec.Tolerations[0] != &b.Spec.Tolerations[0] {
		t.Error("what came three times isn't shared")
	}
	for i, p := range shared {
		p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Key: fmt.Sprint(i)})
		p.OwnerReferences = append(p.OwnerReferences, p.OwnerReferences[0])
	}
	own := decodePod(t).(*corev1.Pod)
	own.Labels["app"], own.Spec.Tolerations[0].Key = "mine", "mine"
	for i, p := range shared {
		if p.Spec.Tolerations[2].Key != fmt.Sprint(i) || p.Labels["app"] != "web" || p.Spec.Tolerations[0].Key == "mine" {
			t.Errorf("%d: %v %v", i, p.Spec.Tolerations, p.Labels)
		}
	}
}

// An Encoder writes what EncodeObject writes, whatever it wrote before.
func TestEncoderWritesWhatEncodeObjectWrites(t *testing.T) {
	var e events.Encoder
	for i := range 8 {
		obj, err := events.DecodeShared([]byte(strings.Replace(podJSON, podName, fmt.Sprint("web-", i), 1)))
		if err != nil {
			t.Fatal(err)
		}
		for _, patch := range []string{`{}`, scheduledJSON, runningJSON, smallJSON, `{"metadata":{"labels":{"app":"other"}},"spec":{"tolerations":[]}}`} {
			if obj, err = events.ApplyShared(obj, []byte(patch)); err != nil {
				t.Fatal(err)
			}
			want, wantErr := events.EncodeObject(obj)
			got, err := e.Encode(obj)
			if err != nil || wantErr != nil || string(got) != string(want) {
				t.Errorf("%d\ngot  %s %v\nwant %s %v", i, got, err, want, wantErr)
			}
		}
	}
}
