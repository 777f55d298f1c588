package agent_test

import (
	"context"
	"maps"
	"slices"
	"testing"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent"
	"github.com/reckon-project/reckon/agent/hollow"
	"github.com/reckon-project/reckon/agent/runtime"
)

// mounting is a runtime with one container, which mounts an image.
type mounting struct{ *hollow.Runtime }

func (mounting) List(context.Context, string) ([]runtime.Sandbox, error) {
	c := &cri.Container{Id: "c", ImageId: "program", Image: &cri.ImageSpec{Image: "program:1"}}
	return []runtime.Sandbox{{PodSandbox: &cri.PodSandbox{Metadata: &cri.PodSandboxMetadata{Uid: "u"}}, Containers: []*cri.Container{c}}}, nil
}

func (mounting) ContainerStatus(context.Context, string) (*cri.ContainerStatus, error) {
	return &cri.ContainerStatus{Mounts: []*cri.Mount{{HostPath: "/data"}, {Image: &cri.ImageSpec{Image: "model", UserSpecifiedImage: "model:1"}}}}, nil
}

// The image of a volume is in use as long as a container mounts it.
func TestMountedImagesAreInUse(t *testing.T) {
	got, err := agent.ImagesInUse(t.Context(), mounting{hollow.NewRuntime(clock.RealClock{}, 1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if names, want := slices.Sorted(maps.Keys(got)), []string{"model", "model:1", "program", "program:1"}; !slices.Equal(names, want) {
		t.Errorf("in use are %q, not %q", names, want)
	}
}
