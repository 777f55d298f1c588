package replicaset_test

import (
	"testing"
	"time"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/events"
)

func TestStory(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Schedule("n1")
		script := controllertest.NewTranscript(w, "replicas")
		script.Keep = func(e *events.Event) bool { return e.Key == key && e.Actor == "alice" }
		step := func(name string) {
			w.Advance(time.Minute)
			script.Step("%s", name)
			script.Say("then", status(w))
		}
		w.Create(controllers.ReplicaSet, newSet(3))
		step("three replicas")
		w.Delete(controllers.Pod.Key("default", names(w)[0]), "")
		step("a pod is deleted")
		w.Patch(key, `{"spec":{"replicas":1}}`)
		step("one is enough")
		w.Patch(controllers.Pod.Key("default", names(w)[0]), `{"metadata":{"labels":{"app":"other"}}}`)
		step("its pod is taken away from it")
		script.Done()
	})
}
