package pod

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/volume"
)

func TestWhatContainersMount(t *testing.T) {
	enabled, possible, both := v1.RecursiveReadOnlyEnabled, v1.RecursiveReadOnlyIfPossible, v1.MountPropagationBidirectional
	image := &v1.ImageVolumeSource{Reference: "example.com/data:1"}
	volumes := map[string]volume.Mounted{"d": {Path: "/v/d"}, "r": {Path: "/v/r", ReadOnly: true}, "i": {Image: image, ReadOnly: true}}
	for name, c := range map[string]struct {
		mount v1.VolumeMount
		old   bool
		want  string // the mount, or the error
	}{
		"plain":                 {v1.VolumeMount{Name: "d", MountPath: "/x"}, false, `container_path:"/x" host_path:"/v/d"`},
		"relative":              {v1.VolumeMount{Name: "d", MountPath: "x"}, false, `container_path:"/x" host_path:"/v/d"`},
		"read-only volume":      {v1.VolumeMount{Name: "r", MountPath: "/x"}, false, `container_path:"/x" host_path:"/v/r" readonly:true`},
		"both ways":             {v1.VolumeMount{Name: "d", MountPath: "/x", MountPropagation: &both}, false, `container_path:"/x" host_path:"/v/d" propagation:PROPAGATION_BIDIRECTIONAL`},
		"recursive":             {v1.VolumeMount{Name: "d", MountPath: "/x", ReadOnly: true, RecursiveReadOnly: &enabled}, false, `container_path:"/x" host_path:"/v/d" readonly:true recursive_read_only:true`},
		"if possible":           {v1.VolumeMount{Name: "d", MountPath: "/x", ReadOnly: true, RecursiveReadOnly: &possible}, true, `container_path:"/x" host_path:"/v/d" readonly:true`},
		"but it can't":          {v1.VolumeMount{Name: "d", MountPath: "/x", ReadOnly: true, RecursiveReadOnly: &enabled}, true, `volume "d" requested recursive read-only mode, but it is not supported by the runtime`},
		"recursive, not read":   {v1.VolumeMount{Name: "d", MountPath: "/x", RecursiveReadOnly: &enabled}, false, `volume "d" requested recursive read-only mode, but it is not read-only`},
		"recursive, propagated": {v1.VolumeMount{Name: "d", MountPath: "/x", ReadOnly: true, RecursiveReadOnly: &enabled, MountPropagation: &both}, false, `volume "d" requested recursive read-only mode, but it is not compatible with propagation "Bidirectional"`},
		"an image":              {v1.VolumeMount{Name: "i", MountPath: "/x", SubPath: "a"}, false, `container_path:"/x" readonly:true image:{image:"sha256:1" user_specified_image:"example.com/data:1"} image_sub_path:"a"`},
		"no such volume":        {v1.VolumeMount{Name: "z", MountPath: "/x"}, false, `container main mounts volume "z", which the pod doesn't have`},
		"no such variable":      {v1.VolumeMount{Name: "d", MountPath: "/x", SubPathExpr: "a/$(NONE)"}, false, `missing value for "NONE"`},
	} {
		t.Run(name, func(t *testing.T) {
			h := &Host{Dir: t.TempDir(), OldRuntime: c.old}
			spec := &v1.Container{Name: "main", VolumeMounts: []v1.VolumeMount{c.mount}}
			out, err := h.mounts(containerInput{pod: &v1.Pod{}, spec: spec, volumes: volumes, images: map[string]*cri.Image{"i": {Id: "sha256:1"}}}, &environment{})
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = strings.Join(strings.Fields(out[0].String()), " ") // its blanks vary
			}
			if got != c.want {
				t.Errorf("it is\n%s, not\n%s", got, c.want)
			}
		})
	}
}

func TestWhichDevicesContainersGet(t *testing.T) {
	volumes := map[string]volume.Mounted{"d": {Path: "/dev/a", Block: true}, "r": {Path: "/dev/b", Block: true, ReadOnly: true}, "f": {Path: "/v/f"}}
	spec := &v1.Container{Name: "main", VolumeDevices: []v1.VolumeDevice{{Name: "d", DevicePath: "/dev/x"}, {Name: "r", DevicePath: "/dev/y"}}}
	out, err := devices(containerInput{spec: spec, volumes: volumes})
	if err != nil || len(out) != 2 || out[0].HostPath != "/dev/a" || out[0].Permissions != "mrw" || out[1].ContainerPath != "/dev/y" || out[1].Permissions != "r" {
		t.Errorf("they are %v, %v", out, err)
	}
	spec.VolumeDevices = []v1.VolumeDevice{{Name: "f", DevicePath: "/dev/x"}}
	if _, err := devices(containerInput{spec: spec, volumes: volumes}); err == nil {
		t.Error("files are a device")
	}
}
