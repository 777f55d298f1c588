package direct

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/events"
)

func (r *record) sandboxState() runtimeapi.PodSandboxState {
	if r.ready() {
		return runtimeapi.PodSandboxState_SANDBOX_READY
	}
	return runtimeapi.PodSandboxState_SANDBOX_NOTREADY
}

// SandboxStatus implements runtime.Runtime.
func (r *Runtime) SandboxStatus(_ context.Context, id string) (*runtimeapi.PodSandboxStatus, error) {
	rec, err := r.findSandbox(id)
	if err != nil {
		return nil, err
	}
	out := &runtimeapi.PodSandboxStatus{
		Id: id, Metadata: rec.sandbox.Metadata, State: rec.sandboxState(), CreatedAt: rec.created.UnixNano(),
		Network: &runtimeapi.PodSandboxNetworkStatus{}, Labels: rec.sandbox.Labels, Annotations: rec.sandbox.Annotations,
		Linux: &runtimeapi.LinuxPodSandboxStatus{Namespaces: &runtimeapi.Namespace{Options: rec.sandbox.GetLinux().GetSecurityContext().GetNamespaceOptions()}},
	}
	for i, ip := range rec.about.IPs {
		if i == 0 {
			out.Network.Ip = ip
		} else {
			out.Network.AdditionalIps = append(out.Network.AdditionalIps, &runtimeapi.PodIP{Ip: ip})
		}
	}
	return out, nil
}

// StopSandbox implements runtime.Runtime.
func (r *Runtime) StopSandbox(ctx context.Context, id string) error {
	ctx = inNamespace(ctx)
	rec, err := r.findSandbox(id)
	if err != nil {
		return gone(err)
	}
	for _, c := range r.containersOf(id) {
		if err := r.StopContainer(ctx, c.id, 0); err != nil {
			return err
		}
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.about.Pause {
		if err := r.stopPause(ctx, rec); err != nil {
			return err
		}
	}
	if err := r.release(ctx, rec); err != nil {
		return fmt.Errorf("stop sandbox %s: %w", id, err)
	}
	return r.unready(ctx, rec)
}

// unready notes that a sandbox is none any more; rec.mu is held.
func (r *Runtime) unready(ctx context.Context, rec *record) error {
	if !rec.ready() {
		return nil
	}
	labels := map[string]string{labelReady: "false"}
	if err := r.note(ctx, rec.id, labels); gone(err) != nil {
		return err
	}
	rec.see(labels)
	return nil
}

// release gives a sandbox's network, namespaces and shared memory back.
func (r *Runtime) release(ctx context.Context, rec *record) error {
	if dir := rec.about.Namespaces; dir != "" {
		if _, err := os.Stat(dir); err == nil {
			if len(rec.about.IPs) > 0 {
				if err := r.network.detach(ctx, rec.about.Attached, dir, rec.sandbox); err != nil {
					return err
				}
			}
			if err := removeNamespaces(dir); err != nil {
				return err
			}
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return r.removeFiles(rec.id)
}

// RemoveSandbox implements runtime.Runtime.
func (r *Runtime) RemoveSandbox(ctx context.Context, id string) error {
	ctx = inNamespace(ctx)
	if err := r.StopSandbox(ctx, id); err != nil {
		return err
	}
	rec, err := r.findSandbox(id)
	if err != nil {
		return gone(err)
	}
	for _, c := range r.containersOf(id) {
		if err := r.RemoveContainer(ctx, c.id); err != nil {
			return err
		}
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if err := r.removeSnapshot(ctx, id); err != nil {
		return err
	}
	return r.drop(ctx, id)
}

// sweep removes what a sandbox left that was being made when the agent ended,
// and finds out which sandboxes a restart of the machine took away.
func (r *Runtime) sweep(ctx context.Context) error {
	used := map[string]bool{}
	for _, rec := range r.all((*record).isSandbox) {
		used[rec.about.Namespaces] = true
		if !rec.ready() || rec.about.Namespaces == "" {
			continue
		}
		there, err := r.stands(rec)
		if err != nil {
			return err
		}
		if there {
			continue
		}
		if err := r.unready(ctx, rec); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(filepath.Join(r.o.Dir, dirNamespaces))
	if err != nil {
		return err
	}
	for _, e := range entries {
		dir := filepath.Join(r.o.Dir, dirNamespaces, e.Name())
		if used[dir] {
			continue
		}
		if err := r.disown(ctx, dir); err != nil {
			return err
		}
	}
	return r.sweepFiles()
}

// stands reports whether a sandbox's namespaces are there.
func (r *Runtime) stands(rec *record) (bool, error) {
	options := rec.sandbox.GetLinux().GetSecurityContext().GetNamespaceOptions()
	pin := pinNet
	if options.GetNetwork() == runtimeapi.NamespaceMode_NODE {
		pin = pinIPC
	}
	return isPinned(filepath.Join(rec.about.Namespaces, pin))
}

// disown gives back namespaces that no record has.
func (r *Runtime) disown(ctx context.Context, dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, ownerFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var o owner
	if err == nil && json.Unmarshal(data, &o) == nil {
		config := &runtimeapi.PodSandboxConfig{}
		if err := proto.Unmarshal(o.Config, config); err != nil {
			return fmt.Errorf("%w: %s: %v", events.ErrInvalid, dir, err)
		}
		if config.GetLinux().GetSecurityContext().GetNamespaceOptions().GetNetwork() != runtimeapi.NamespaceMode_NODE {
			if err := r.network.detach(ctx, o.ID, dir, config); err != nil {
				return err
			}
		}
	}
	return removeNamespaces(dir)
}

// sweepFiles removes the files of sandboxes that there are no records of.
func (r *Runtime) sweepFiles() error {
	entries, err := os.ReadDir(filepath.Join(r.o.Dir, dirSandboxes))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if r.find(e.Name()) == nil {
			if err := r.removeFiles(e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}
