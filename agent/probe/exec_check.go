package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
)

const longestOutput = 10 << 10

func checkExec(ctx context.Context, a *v1.ExecAction, t Target, timeout time.Duration) error {
	output, code, err := t.Exec(ctx, a.Command, timeout)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("command timed out: %q timed out after %s", a.Command, timeout)
	}
	if err != nil {
		return err
	}
	if code != 0 {
		return errors.New(string(output[:min(len(output), longestOutput)]))
	}
	return nil
}
