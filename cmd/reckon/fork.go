package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections/history"
	"github.com/spf13/cobra"
)

// fork makes a folder with a running cluster's log up to a moment.
type fork struct {
	from, to folder
	when     string
	secrets  bool
	out      io.Writer
}

func newFork() *cobra.Command {
	var k fork
	var from, to string
	cmd := &cobra.Command{
		Use:   "fork --at WHEN --data DIR",
		Short: "Take the cluster of a moment into a folder of its own, to try something on it",
		Long: `Make a new data folder from the running cluster's log up to a moment: every event with
its sequence, time and author. The cluster that it is taken from doesn't notice.

  reckon fork --at 2h --data /tmp/what-if
  reckon up --hollow --data /tmp/what-if     run it: hollow nodes stand in for the real ones
  export KUBECONFIG=/tmp/what-if/admin.kubeconfig
  kubectl drain n3 --ignore-daemonsets       or anything else: it happens in the fork only

The values of Secrets stay sealed: the keys are not copied unless --with-secrets is given.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if from == "" {
				from = os.Getenv("RECKON_DATA")
			}
			if from == "" {
				from = defaultData
			}
			if to == "" || !cmd.Flags().Changed("at") {
				return errors.New("say which moment with --at (a sequence, a time or an age like 10m), and with --data which folder to make")
			}
			origin, err := filepath.Abs(from)
			if err != nil {
				return err
			}
			target, err := filepath.Abs(to)
			if err != nil {
				return err
			}
			k.from, k.to = folder(origin), folder(target)
			k.out = cmd.OutOrStdout()
			return k.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&k.when, "at", "", "the moment: a sequence of the log, a time (RFC 3339), an age like 10m, or now")
	cmd.Flags().StringVar(&to, "data", "", "the folder to make")
	cmd.Flags().StringVar(&from, "from", "", "data folder of the running cluster (default: RECKON_DATA, or "+defaultData+")")
	cmd.Flags().BoolVar(&k.secrets, "with-secrets", false, "copy the keys of Secrets, so that the fork can read their values")
	return cmd
}

func (k *fork) run(ctx context.Context) (err error) {
	if err := k.checkTarget(); err != nil {
		return err
	}
	a, err := k.from.readAccess()
	if err != nil {
		return err
	}
	b, err := a.connect(ctx, operator)
	if err != nil {
		return err
	}
	origin, err := k.from.withArchive(b)
	if err != nil {
		return errors.Join(err, b.Close())
	}
	defer origin.Close()
	now := time.Now()
	moment, err := history.ParseMoment(k.when, now)
	if err != nil {
		return err
	}
	position, err := moment.Position(ctx, origin.Log())
	if err != nil {
		return err
	}
	first, checkpoints, err := reach(ctx, origin, position)
	if err != nil {
		return err
	}
	k.say("fork      %s is position %d", k.when, position)
	if err := k.to.prepare(); err != nil {
		return err
	}
	defer func() {
		if err != nil { // half a fork is no use to anybody
			err = errors.Join(err, os.RemoveAll(string(k.to)))
		}
	}()
	if err := k.copyLog(ctx, origin, first, position); err != nil {
		return err
	}
	if err := k.copyKeys(); err != nil {
		return err
	}
	if err := k.copyCheckpoints(ctx, origin, first, position, checkpoints); err != nil {
		return err
	}
	if err := k.to.markForked(forked{Origin: string(k.from), Position: position, Secrets: k.secrets, Time: now.UTC()}); err != nil {
		return err
	}
	k.say("\nThe fork is in %s. Run it, and look at it:\n\n  reckon up --hollow --detach --data %s\n  export KUBECONFIG=%s", k.to, k.to, k.to.kubeconfig())
	return nil
}

func (k *fork) say(format string, args ...any) {
	fmt.Fprintf(k.out, format+"\n", args...)
}

// checkTarget refuses a folder that has something in it already.
func (k *fork) checkTarget() error {
	if within, err := filepath.Rel(string(k.from), string(k.to)); err == nil && within != ".." && !strings.HasPrefix(within, "../") {
		return fmt.Errorf("%s is the folder of the cluster to fork, or in it: name another one with --data", k.to)
	}
	entries, err := os.ReadDir(string(k.to))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is there already and isn't empty: name another folder with --data, or remove it with reckon down --purge --data %s", k.to, k.to)
	}
	return nil
}

const checkpointPrefix = "checkpoint/"

// reach gives the beginning of the log, and the checkpoints that the state at
// position can be made from. A log that was trimmed needs at least one.
func reach(ctx context.Context, b bus.Bus, position uint64) (first uint64, checkpoints map[string]uint64, err error) {
	first, _, err = b.Log().Range(ctx)
	if err != nil {
		return 0, nil, err
	}
	names, err := b.Blobs().List(ctx, checkpointPrefix)
	if err != nil {
		return 0, nil, err
	}
	based := first <= 1
	checkpoints = map[string]uint64{}
	for _, name := range names {
		var at uint64
		if n, err := fmt.Sscanf(strings.TrimPrefix(name, checkpointPrefix), "%d", &at); n != 1 || err != nil || at > position || at+1 < first {
			continue
		}
		checkpoints[name] = at
		based = true
	}
	if !based {
		return 0, nil, fmt.Errorf("%w: the log begins at %d, and no checkpoint holds the state at %d or before it", events.ErrGone, first, position)
	}
	return first, checkpoints, nil
}

// until ends a log after position.
func until(log iter.Seq2[*events.Event, error], position uint64) iter.Seq2[*events.Event, error] {
	return func(yield func(*events.Event, error) bool) {
		for e, err := range log {
			if err == nil && e.Sequence > position {
				return
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// forked is the file that says that a folder is a fork, and of what.
type forked struct {
	Origin   string    `json:"origin"` // its data folder
	Position uint64    `json:"position"`
	Secrets  bool      `json:"secrets"` // their keys were copied
	Time     time.Time `json:"time"`    // when the fork was made
}

func (f folder) forkFile() string { return f.path("fork.json") }

func (f folder) markForked(m forked) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return os.WriteFile(f.forkFile(), append(data, '\n'), 0o600)
}

// forked gives what the folder was forked from, nil if it wasn't.
func (f folder) forked() (*forked, error) {
	data, err := os.ReadFile(f.forkFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := &forked{}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", f.forkFile(), err)
	}
	return m, nil
}
