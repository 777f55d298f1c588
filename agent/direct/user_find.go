package direct

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/events"
)

type user = specs.User

const mostUsers = 1024 // in the cache

// userOf finds out as whom a container runs: what the security context says,
// otherwise what the image says, with the groups that the image's files give.
func (r *Runtime) userOf(ctx context.Context, i *image, sc *runtimeapi.LinuxContainerSecurityContext) (user, error) {
	name, err := userString(sc)
	if err != nil {
		return user{}, err
	}
	if name == "" {
		name = i.config.User
	}
	named := name
	if sc.GetRunAsUsername() != "" {
		named = sc.GetRunAsUsername()
	} else if sc.GetRunAsUser() != nil {
		named = strconv.FormatInt(sc.RunAsUser.Value, 10)
	} else if i.config.User != "" {
		named, _, _ = strings.Cut(i.config.User, ":")
	} else {
		named = "0"
	}
	key := i.chain + " " + name + " " + named
	r.images.mu.Lock()
	have, ok := r.images.users[key]
	r.images.mu.Unlock()
	if !ok {
		if have, err = r.readUser(ctx, i.chain, name, named); err != nil {
			return user{}, err
		}
		r.images.mu.Lock()
		if r.images.users == nil || len(r.images.users) >= mostUsers {
			r.images.users = map[string]user{}
		}
		r.images.users[key] = have
		r.images.mu.Unlock()
	}
	groups := append([]uint32{}, have.AdditionalGids...)
	if sc.GetSupplementalGroupsPolicy() == runtimeapi.SupplementalGroupsPolicy_Strict {
		groups = []uint32{have.GID}
	}
	for _, g := range sc.GetSupplementalGroups() {
		groups = append(groups, uint32(g))
	}
	have.AdditionalGids = unique(groups)
	return have, nil
}

func unique(in []uint32) []uint32 {
	seen, out := map[uint32]bool{}, in[:0]
	for _, g := range in {
		if !seen[g] {
			seen[g] = true
			out = append(out, g)
		}
	}
	return out
}

// readUser reads the image's files.
func (r *Runtime) readUser(ctx context.Context, chain, name, named string) (user, error) {
	ctx, done, err := r.daemon.WithLease(ctx)
	if err != nil {
		return user{}, classify(err, "read an image's users")
	}
	defer done(context.WithoutCancel(ctx)) //nolint:errcheck // a lease that isn't given back ends by itself
	c := &containers.Container{ID: "users", Snapshotter: snapshotter, SnapshotKey: identify("users", chain, name)}
	if _, err := r.daemon.SnapshotService(snapshotter).View(ctx, c.SnapshotKey, chain); err != nil && !errdefs.IsAlreadyExists(err) {
		return user{}, classify(err, "look into an image")
	}
	spec := &specs.Spec{Process: &specs.Process{}, Root: &specs.Root{}}
	if name != "" {
		if err := oci.WithUser(name)(ctx, r.daemon, c, spec); err != nil {
			return user{}, fmt.Errorf("%w: find user %s in the image: %w", events.ErrInvalid, name, err)
		}
	}
	if err := oci.WithAdditionalGIDs(named)(ctx, r.daemon, c, spec); err != nil {
		return user{}, fmt.Errorf("find the groups of user %s in the image: %w", named, err)
	}
	return spec.Process.User, nil
}

// userString joins user and group as OCI writes them.
func userString(sc *runtimeapi.LinuxContainerSecurityContext) (string, error) {
	out := sc.GetRunAsUsername()
	if sc.GetRunAsUser() != nil {
		out = strconv.FormatInt(sc.RunAsUser.Value, 10)
	}
	if sc.GetRunAsGroup() == nil {
		return out, nil
	}
	if out == "" {
		return "", fmt.Errorf("%w: a group can only be given with a user", events.ErrInvalid)
	}
	return out + ":" + strconv.FormatInt(sc.RunAsGroup.Value, 10), nil
}
