package image

import (
	"context"
	goruntime "runtime"
	"time"

	"github.com/reckon-project/reckon/agent/cri"
	"github.com/reckon-project/reckon/agent/pause"
)

// EnsurePause makes sure that the sandbox image is there under the name ref,
// and that CRI, which learns of imports a moment later, knows it.
func EnsurePause(ctx context.Context, client *cri.Client, ref string) error {
	have, err := client.ImageStatus(ctx, ref)
	if err != nil || have != nil {
		return err
	}
	program, err := pause.Program(goruntime.GOARCH)
	if err != nil {
		return err
	}
	image, err := BuildProgram("pause", program, Spec{Arch: goruntime.GOARCH})
	if err != nil {
		return err
	}
	if _, err := Load(ctx, client.Daemon(), ref, image); err != nil {
		return err
	}
	return AwaitCRI(ctx, client, ref)
}

// AwaitCRI waits until CRI knows an image that was imported beside it.
func AwaitCRI(ctx context.Context, client *cri.Client, ref string) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		have, err := client.ImageStatus(ctx, ref)
		if err != nil || have != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
