package direct

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/cap"
	"github.com/containerd/containerd/v2/pkg/oci"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/events"
)

type ociConfig = imagespec.ImageConfig

// ownCapabilities are those that this process, and so containerd, can give.
var ownCapabilities = sync.OnceValues(cap.Current)

// secure writes what the container's processes may do.
func (r *Runtime) secure(ctx context.Context, spec *specs.Spec, in specInput) error {
	sc := in.config.GetLinux().GetSecurityContext()
	if !sc.GetPrivileged() {
		spec.Linux.MaskedPaths, spec.Linux.ReadonlyPaths = sc.GetMaskedPaths(), sc.GetReadonlyPaths()
	}
	none := &containers.Container{ID: in.id}
	for _, d := range in.config.Devices {
		if err := oci.WithDevices(d.HostPath, d.ContainerPath, d.Permissions)(ctx, r.daemon, none, spec); err != nil {
			return fmt.Errorf("add device %s: %w", d.HostPath, err)
		}
	}
	if len(in.config.CDIDevices) > 0 {
		return fmt.Errorf("%w: CDI devices aren't supported on this node", events.ErrInvalid)
	}
	own, err := ownCapabilities()
	if err != nil {
		return fmt.Errorf("read the own capabilities: %w", err)
	}
	setCapabilities(spec, sc, own)
	if !sc.GetPrivileged() {
		if err := r.confine(ctx, spec, sc.GetApparmor(), hasAppArmor()); err != nil {
			return err
		}
		return filterCalls(ctx, r, spec, sc.GetSeccomp())
	}
	if !in.sandbox.sandbox.GetLinux().GetSecurityContext().GetPrivileged() {
		return fmt.Errorf("%w: no privileged container allowed in sandbox", events.ErrInvalid)
	}
	for _, option := range []oci.SpecOpts{oci.WithHostDevices, oci.WithAllDevicesAllowed} {
		if err := option(ctx, r.daemon, none, spec); err != nil {
			return fmt.Errorf("give all devices: %w", err)
		}
	}
	return nil
}

// setCapabilities starts from the default ones, or with ALL added from all, or
// with ALL dropped from none.
func setCapabilities(spec *specs.Spec, sc *runtimeapi.LinuxContainerSecurityContext, own []string) {
	have := slices.Clone(spec.Process.Capabilities.Bounding)
	add, drop := sc.GetCapabilities().GetAddCapabilities(), sc.GetCapabilities().GetDropCapabilities()
	isAll := func(name string) bool { return strings.EqualFold(name, "ALL") }
	if slices.ContainsFunc(add, isAll) {
		have = slices.Clone(own)
	}
	if slices.ContainsFunc(drop, isAll) {
		have = nil
	}
	for _, name := range add {
		if full := capability(name); !isAll(name) && !slices.Contains(have, full) {
			have = append(have, full)
		}
	}
	for _, name := range drop {
		have = slices.DeleteFunc(have, func(c string) bool { return c == capability(name) })
	}
	if sc.GetPrivileged() {
		have = slices.Clone(own)
	}
	spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: have, Effective: have, Permitted: have}
}

func capability(name string) string {
	name = strings.ToUpper(name)
	if strings.HasPrefix(name, "CAP_") {
		return name
	}
	return "CAP_" + name
}

// filterCalls writes the seccomp profile.
func filterCalls(ctx context.Context, r *Runtime, spec *specs.Spec, p *runtimeapi.SecurityProfile) error {
	switch p.GetProfileType() {
	case runtimeapi.SecurityProfile_RuntimeDefault:
		if p == nil {
			return nil
		}
		spec.Linux.Seccomp = seccomp.DefaultProfile(spec)
	case runtimeapi.SecurityProfile_Localhost:
		option := seccomp.WithProfile(strings.TrimPrefix(p.LocalhostRef, "localhost/"))
		if err := option(ctx, r.daemon, nil, spec); err != nil {
			return fmt.Errorf("%w: seccomp profile %s: %w", events.ErrInvalid, p.LocalhostRef, err)
		}
	}
	return nil
}
