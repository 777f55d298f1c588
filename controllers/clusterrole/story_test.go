package clusterrole_test

import (
	"testing"
	"testing/synctest"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/clusterrole"
	"github.com/reckon-project/reckon/controllers/controllertest"
)

func TestStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.InFlight = 1
		w.Run(clusterrole.New())
		script := controllertest.NewTranscript(w, "aggregation")
		w.Create(controllers.ClusterRole, aggregate("view", nil, toView))
		script.Step("a role of roles, of which there are none")
		w.Create(controllers.ClusterRole, role("cats", map[string]string{toView: "true"}, allow("cats", "get")))
		script.Step("one comes")
		w.Create(controllers.ClusterRole, role("dogs", nil, allow("dogs", "get")))
		script.Step("one that isn't meant")
		w.Patch(controllers.ClusterRole.Key("", "view"), `{"rules":null}`)
		script.Step("somebody empties the role")
		w.Delete(controllers.ClusterRole.Key("", "cats"), "")
		script.Step("the only one goes")
		script.Done()
	})
}
