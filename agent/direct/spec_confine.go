package direct

import (
	"context"
	"fmt"

	profile "github.com/containerd/containerd/v2/contrib/apparmor"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/apparmor"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/events"
)

// defaultProfile is AppArmor's, as CRI names and loads it.
const defaultProfile = "cri-containerd.apparmor.d"

// confine gives a container that isn't privileged its AppArmor profile. Where
// the machine has AppArmor, who asks for none gets the default one.
func (r *Runtime) confine(ctx context.Context, spec *specs.Spec, wanted *runtimeapi.SecurityProfile, supported bool) error {
	kind := wanted.GetProfileType() // RuntimeDefault when there is none
	switch {
	case kind == runtimeapi.SecurityProfile_Unconfined:
		return nil
	case !supported && wanted == nil:
		return nil
	case !supported:
		return fmt.Errorf("%w: apparmor is not supported", events.ErrInvalid)
	case kind == runtimeapi.SecurityProfile_Localhost:
		spec.Process.ApparmorProfile = wanted.LocalhostRef
		return nil
	}
	if err := profile.WithDefaultProfile(defaultProfile)(ctx, r.daemon, &containers.Container{}, spec); err != nil {
		return fmt.Errorf("confine it by AppArmor: %w", err)
	}
	return nil
}

// hasAppArmor says whether this machine can confine containers so.
func hasAppArmor() bool { return apparmor.HostSupports() }
