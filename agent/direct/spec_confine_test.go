package direct

import (
	"errors"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/events"
)

func TestConfine(t *testing.T) {
	const unconfined, byDefault, local = runtimeapi.SecurityProfile_Unconfined, runtimeapi.SecurityProfile_RuntimeDefault, runtimeapi.SecurityProfile_Localhost
	for _, c := range []struct {
		name      string
		wanted    *runtimeapi.SecurityProfile
		supported bool
		profile   string
		refused   bool
	}{
		{"nothing asked, nothing there", nil, false, "", false},
		{"none", &runtimeapi.SecurityProfile{ProfileType: unconfined}, true, "", false},
		{"none, and nothing there", &runtimeapi.SecurityProfile{ProfileType: unconfined}, false, "", false},
		{"one of the machine's", &runtimeapi.SecurityProfile{ProfileType: local, LocalhostRef: "mine"}, true, "mine", false},
		{"one that can't be", &runtimeapi.SecurityProfile{ProfileType: local, LocalhostRef: "mine"}, false, "", true},
		{"the default, which can't be", &runtimeapi.SecurityProfile{ProfileType: byDefault}, false, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := &specs.Spec{Process: &specs.Process{}}
			err := (&Runtime{}).confine(t.Context(), spec, c.wanted, c.supported)
			if errors.Is(err, events.ErrInvalid) != c.refused || err != nil && !c.refused {
				t.Errorf("it gives %v", err)
			}
			if spec.Process.ApparmorProfile != c.profile {
				t.Errorf("the profile is %q", spec.Process.ApparmorProfile)
			}
		})
	}
}
