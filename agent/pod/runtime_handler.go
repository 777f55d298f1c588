package pod

import (
	"context"
	"fmt"
	"maps"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/runtime"
)

// nameHandler says in a sandbox's configuration which handler of the runtime shall run it,
// if the pod names a RuntimeClass.
func (w *Worker) nameHandler(ctx context.Context, config *cri.PodSandboxConfig) error {
	name := w.pod.Spec.RuntimeClassName
	if name == nil || *name == "" || w.host.Handler == nil {
		return nil
	}
	handler, err := w.host.Handler(ctx, *name)
	if err != nil {
		return fmt.Errorf("find the handler of RuntimeClass %q: %w", *name, err)
	}
	config.Annotations = maps.Clone(config.Annotations)
	if config.Annotations == nil {
		config.Annotations = map[string]string{}
	}
	config.Annotations[runtime.AnnotationHandler] = handler
	return nil
}
