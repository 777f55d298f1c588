package scheduler

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	storagehelpers "k8s.io/component-helpers/storage/volume"

	"github.com/reckon-project/reckon/events"
)

// claimWrite is a patch that the scheduler sends to the API.
type claimWrite struct {
	path   string
	patch  map[string]any
	volume string    // that it gives to a claim; "": none
	claim  types.UID // that it gives devices or a user; "": none
	// strategic patches add to lists, others replace them.
	strategic bool
}

// selectNode asks a claim's provisioner for a volume on a node.
func selectNode(claim *corev1.PersistentVolumeClaim, node string) claimWrite {
	return claimWrite{
		path: "/api/v1/namespaces/" + claim.Namespace + "/persistentvolumeclaims/" + claim.Name,
		patch: map[string]any{"metadata": map[string]any{
			"uid": claim.UID, "annotations": map[string]string{storagehelpers.AnnSelectedNode: node},
		}},
	}
}

// claimVolume gives a volume to a claim, if it is still as it was seen.
func claimVolume(v *corev1.PersistentVolume, claim *corev1.PersistentVolumeClaim) claimWrite {
	return claimWrite{
		path: "/api/v1/persistentvolumes/" + v.Name, volume: v.Name,
		patch: map[string]any{
			"metadata": map[string]any{
				"uid": v.UID, "resourceVersion": v.ResourceVersion,
				"annotations": map[string]string{storagehelpers.AnnBoundByController: "yes"},
			},
			"spec": map[string]any{"claimRef": &corev1.ObjectReference{
				Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID, ResourceVersion: claim.ResourceVersion,
			}},
		},
	}
}

// claimWrites sends writes beside the loop; those of one pod in order. What
// fails comes back as a failure.
type claimWrites struct {
	api      http.RoundTripper
	outcomes *outcomes
	group    sync.WaitGroup
}

func (w *claimWrites) start(ctx context.Context, p *pending, writes []claimWrite) {
	attempt, cause, trace := p.attempt, p.object.Version, p.trace
	w.group.Go(func() {
		for i, each := range writes {
			if err := w.send(ctx, each, cause, trace); err != nil {
				w.outcomes.fail(failure{pod: p, attempt: attempt, err: err, writes: writes[i:]})
				return
			}
		}
	})
}

func (w *claimWrites) send(ctx context.Context, write claimWrite, cause uint64, trace string) error {
	if w.api == nil {
		return fmt.Errorf("%w: the scheduler has no API to bind claims with", events.ErrUnavailable)
	}
	body, err := json.Marshal(write.patch)
	if err != nil {
		return err
	}
	contentType := events.ContentPatch
	if write.strategic {
		contentType = string(types.StrategicMergePatchType)
	}
	_, err = ask(ctx, w.api, http.MethodPatch, write.path, contentType, body, cause, trace)
	return err
}
