package volume

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/agent/csi"
)

// Resized is what became of a claim's expansion on this node.
type Resized struct {
	Claim *v1.PersistentVolumeClaim
	Size  resource.Quantity // that it has now; zero: it failed
	// Infeasible says that it never can be done.
	Infeasible   bool
	At           metav1.Time
	Reason, Note string
}

// expand has the driver make a volume larger that the cluster made larger already.
// Its failure is told, and tried again with the next Mount: the pod goes on with what it has.
func (m *Manager) expand(ctx context.Context, pod *v1.Pod, claim *v1.PersistentVolumeClaim, pv *v1.PersistentVolume, v csi.Volume) {
	size, wanted := growth(claim, pv)
	if !wanted {
		return
	}
	out := Resized{Claim: claim, At: metav1.NewTime(m.Clock.Now()), Reason: "FileSystemResizeFailed"}
	switch err := m.resize(ctx, pod, v, size.Value()); {
	case err == nil:
		out.Size, out.Reason = size, "FileSystemResizeSuccessful"
		out.Note = fmt.Sprintf("MountVolume.NodeExpandVolume succeeded for volume %q %s", pv.Name, m.Node)
	default:
		out.Note = fmt.Sprintf("MountVolume.NodeExpandVolume failed for volume %q %v", pv.Name, err)
		out.Infeasible = slices.Contains([]codes.Code{codes.InvalidArgument, codes.OutOfRange, codes.NotFound}, status.Code(err))
	}
	m.Resized(out)
}

func (m *Manager) resize(ctx context.Context, pod *v1.Pod, v csi.Volume, bytes int64) error {
	if v.ReadOnly {
		return fmt.Errorf("requested read-only file system")
	}
	return m.CSI.Expand(ctx, string(pod.UID), v, bytes)
}

// growth is the size that a claim's volume is to have on this node, and whether
// the node's turn has come.
func growth(claim *v1.PersistentVolumeClaim, pv *v1.PersistentVolume) (resource.Quantity, bool) {
	has, bound := claim.Status.Capacity[v1.ResourceStorage]
	size := pv.Spec.Capacity[v1.ResourceStorage]
	step := claim.Status.AllocatedResourceStatuses[v1.ResourceStorage]
	if allocated, ok := claim.Status.AllocatedResources[v1.ResourceStorage]; ok {
		size = allocated
		if step != v1.PersistentVolumeClaimNodeResizePending && step != v1.PersistentVolumeClaimNodeResizeInProgress {
			return size, false
		}
	}
	return size, bound && size.Cmp(has) > 0
}

// Patch is the status of the claim that tells of it.
func (r Resized) Patch() map[string]any {
	drop := func(kinds ...v1.PersistentVolumeClaimConditionType) []any {
		var out []any
		for _, kind := range kinds {
			if slices.ContainsFunc(r.Claim.Status.Conditions, func(c v1.PersistentVolumeClaimCondition) bool { return c.Type == kind }) {
				out = append(out, map[string]any{"type": kind, "$patch": "delete"})
			}
		}
		return out
	}
	out := map[string]any{}
	if !r.Size.IsZero() {
		out["capacity"] = map[string]any{string(v1.ResourceStorage): r.Size.String()}
		if _, ok := r.Claim.Status.AllocatedResourceStatuses[v1.ResourceStorage]; ok {
			out["allocatedResourceStatuses"] = map[string]any{string(v1.ResourceStorage): nil}
		}
		if c := drop(v1.PersistentVolumeClaimResizing, v1.PersistentVolumeClaimFileSystemResizePending, v1.PersistentVolumeClaimControllerResizeError, v1.PersistentVolumeClaimNodeResizeError); c != nil {
			out["conditions"] = c
		}
		return out
	}
	if r.Infeasible && r.Claim.Status.AllocatedResourceStatuses[v1.ResourceStorage] != "" {
		out["allocatedResourceStatuses"] = map[string]any{string(v1.ResourceStorage): v1.PersistentVolumeClaimNodeResizeInfeasible}
	}
	out["conditions"] = []any{v1.PersistentVolumeClaimCondition{
		Type: v1.PersistentVolumeClaimNodeResizeError, Status: v1.ConditionTrue, LastTransitionTime: r.At,
		Message: "failed to expand pvc with " + r.Note,
	}}
	return out
}
