package resourcequota_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/resourcequota"
)

func TestStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.InFlight = 1
		w.Run(resourcequota.New(nil))
		script := controllertest.NewTranscript(w, "usage")
		step := func(name string) {
			w.Advance(time.Minute)
			script.Step("%s", name)
			script.Say("used", used(w, "q"))
		}
		w.Create(controllers.ResourceQuota, quota("q", "pods=2", "requests.cpu=1"))
		step("a quota")
		w.Create(controllers.Pod, pod("a", asks(list("cpu=300m"), nil)))
		step("a pod")
		w.Patch(controllers.ResourceQuota.Key("prod", "q"), `{"spec":{"hard":{"pods":"1"}}}`)
		step("less is allowed than is used")
		w.PatchStatus(controllers.Pod.Key("prod", "a"), `{"status":{"phase":"Succeeded"}}`)
		step("the pod ends")
		script.Done()
	})
}
