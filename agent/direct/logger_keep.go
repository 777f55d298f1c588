package direct

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/reckon-project/reckon/agent/direct/logger"
)

// startLoggerAgain is how long one waits for the next try to start a logger.
const startLoggerAgain = time.Second

// keepLogger starts the logger again whenever it ended, and lets it read what
// runs: one that is found may be about to end.
func (r *Runtime) keepLogger(ctx context.Context) {
	ticker := time.NewTicker(startLoggerAgain)
	defer ticker.Stop()
	for ctx.Err() == nil {
		_, err := r.logger.Start(ctx)
		if err == nil {
			r.resumeLogs(ctx) //nolint:errcheck // what can't be read has ended, or the logger has
			err = r.logger.Await(ctx)
		}
		if err == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// resumeLogs lets a logger read what every container says; what it reads already it goes on with.
func (r *Runtime) resumeLogs(ctx context.Context) error {
	var errs []error
	for _, rec := range r.all(runs) {
		io, log := r.fifos(rec), rec.base().LogPath
		if _, err := os.Stat(io.stdout); errors.Is(err, os.ErrNotExist) {
			continue // it was drained: the agent ended before that was noted
		}
		if log != "" {
			// Whoever took the logs away only wanted the room.
			if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		errs = append(errs, r.logger.Open(ctx, logger.Open{ID: rec.id, Stdin: io.stdin, Stdout: io.stdout, Stderr: io.stderr, Log: log}))
	}
	return errors.Join(errs...)
}
