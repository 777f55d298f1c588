package agent

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/credential"
	"github.com/reckon-project/reckon/agent/device"
	"github.com/reckon-project/reckon/agent/imagegc"
	"github.com/reckon-project/reckon/agent/machine"
	"github.com/reckon-project/reckon/agent/pull"
	"github.com/reckon-project/reckon/events"
)

// The kubelet's periods.
const (
	collectImages     = 5 * time.Minute
	collectContainers = time.Minute
)

// prepareImages makes what pulls images and what removes them.
func (a *Agent) prepareImages(ctx context.Context) error {
	records, err := pull.OpenRecords(filepath.Join(a.o.Dir, pulledFile))
	if err != nil {
		return err
	}
	images, err := a.runtime.ListImages(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, i := range images {
		there[i.Id] = true
	}
	if err := records.Forget(there); err != nil {
		return err
	}
	var providers pull.Providers
	if path := a.o.Upkeep.CredentialConfig; path != "" {
		config, err := credential.Load(path, a.o.Upkeep.CredentialBin)
		if err != nil {
			return err
		}
		providers = credential.New(config, a.o.Upkeep.CredentialBin, a.api, a.clock)
	}
	pulls := a.o.Upkeep.Pulls
	if pulls == 0 {
		pulls = usualPulls
	}
	policy := a.o.Upkeep.Images
	if policy == (imagegc.Policy{}) {
		policy = usualImages
	}
	root := a.imageRoot(ctx)
	a.host.Puller = pull.New(a.runtime, a.store, providers, records, pulls, a.clock)
	a.images = &imagegc.Collector{
		Store: a.runtime, Policy: policy, Clock: a.clock, InUse: a.imagesInUse, Ours: records.Pulled,
		Space: func() (int64, int64, error) {
			fs, err := machine.Disk(root)
			return fs.Available, fs.Capacity, err
		},
	}
	return nil
}

// prepareDevices makes what device plugins register with.
func (a *Agent) prepareDevices() (err error) {
	a.devices, err = device.New(filepath.Join(a.o.Dir, devicesDir), a.log, a.clock, a.node.poke)
	return err
}

// imagesInUse are the images of all containers, running or not, and those that they mount.
func (a *Agent) imagesInUse(ctx context.Context) (map[string]bool, error) {
	sandboxes, err := a.runtime.List(ctx, "")
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, s := range sandboxes {
		for _, c := range s.Containers {
			for _, name := range []string{c.ImageId, c.ImageRef, c.GetImage().GetImage(), c.GetImage().GetUserSpecifiedImage()} {
				out[name] = true
			}
		}
	}
	for _, s := range sandboxes {
		if a.mountsNoImages(s.GetMetadata().GetUid()) {
			continue
		}
		for _, c := range s.Containers {
			status, err := a.runtime.ContainerStatus(ctx, c.Id)
			if errors.Is(err, events.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			for _, m := range status.Mounts {
				out[m.GetImage().GetImage()], out[m.GetImage().GetUserSpecifiedImage()] = true, true
			}
		}
	}
	delete(out, "")
	return out, nil
}

// mountsNoImages reports a pod that is known to have no image volumes.
func (a *Agent) mountsNoImages(uid string) bool {
	a.mu.Lock()
	r := a.workers[uid]
	a.mu.Unlock()
	if r == nil {
		return false
	}
	p := r.worker.View().Pod
	return p != nil && !slices.ContainsFunc(p.Spec.Volumes, func(v v1.Volume) bool { return v.Image != nil })
}

// collectGarbage removes what nobody needs: images when their disk becomes full,
// and what is left of earlier sandboxes.
func (a *Agent) collectGarbage(ctx context.Context) error {
	if a.o.Runtime != nil {
		<-ctx.Done()
		return nil
	}
	ticker := a.clock.NewTicker(collectContainers)
	defer ticker.Stop()
	failed, last := false, a.clock.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
		if err := a.sweep(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("what is left of containers can't be removed", "err", err)
			a.node.tell("ContainerGCFailed", err.Error())
		}
		if a.clock.Since(last) < collectImages {
			continue
		}
		last = a.clock.Now()
		failed = a.collect(ctx, failed)
	}
}

// collect looks after images once; only the second failure in a row is told.
func (a *Agent) collect(ctx context.Context, failed bool) bool {
	freed, err := a.images.Collect(ctx)
	if freed > 0 {
		a.log.Info("images that nobody needs were removed", "bytes", freed)
	}
	if err == nil || ctx.Err() != nil {
		return false
	}
	a.log.Warn("images can't be collected", "err", err)
	var short *imagegc.ShortError
	switch {
	case errors.As(err, &short):
		a.node.tell("FreeDiskSpaceFailed", short.Error())
	case errors.Is(err, imagegc.ErrCapacity):
		a.node.tell("InvalidDiskCapacity", err.Error())
	}
	if failed {
		a.node.tell("ImageGCFailed", err.Error())
	}
	return true
}

// reclaim gives up what nobody needs any more, and reports whether all of it could be.
func (a *Agent) reclaim(ctx context.Context) bool {
	err := a.sweep(ctx)
	freed, imageErr := a.images.RemoveUnused(ctx)
	if err = errors.Join(err, imageErr); err != nil {
		a.log.Warn("the node's disk is short, and what nobody needs can't be removed", "err", err)
	}
	a.log.Info("the node's disk is short: what nobody needs was removed", "bytes", freed)
	return err == nil
}

// sweep removes the sandboxes that have no containers and aren't their pods'
// newest. Containers that ended are their pods' workers to remove: each keeps
// the last one of a container for its log, as the kubelet does.
func (a *Agent) sweep(ctx context.Context) error {
	sandboxes, err := a.runtime.List(ctx, "")
	if err != nil {
		return err
	}
	newest := map[string]int64{}
	for _, s := range sandboxes {
		uid := s.GetMetadata().GetUid()
		newest[uid] = max(newest[uid], s.CreatedAt)
	}
	var errs []error
	for _, s := range sandboxes {
		uid := s.GetMetadata().GetUid()
		if !a.knows(uid) || s.State != cri.PodSandboxState_SANDBOX_NOTREADY || s.CreatedAt == newest[uid] || len(s.Containers) > 0 {
			continue
		}
		errs = append(errs, a.runtime.RemoveSandbox(ctx, s.Id))
	}
	return errors.Join(errs...)
}

// knows reports whether a pod has a worker, so that its sandboxes are this node's to remove.
func (a *Agent) knows(uid string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.workers[uid] != nil
}
