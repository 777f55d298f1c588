package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/archive"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	"github.com/spf13/cobra"
)

func newExport() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Write a stretch of the log into one compressed file, with a manifest and checksums",
		Long: `Write the events of the log, archived or not, into one compressed file. The file's manifest says which
events it holds, with checksums and the hash chain at both ends. Values of secrets stay sealed.

  reckon export cluster.log                      the whole history that is kept
  reckon export --from 2h --to 1h incident.log

Read it with reckon replay FILE; make a cluster's data folder of it with reckon import FILE --data DIR.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := connect(cmd)
			if err != nil {
				return err
			}
			defer b.Close()
			first, last, err := span(cmd.Context(), b.Log(), from, to, time.Now())
			if err != nil {
				return err
			}
			if first > last {
				return fmt.Errorf("there are no events between %s and %s", from, to)
			}
			chain, err := chainBefore(cmd, first)
			if err != nil {
				return err
			}
			m, err := exportFile(cmd.Context(), b.Log(), first, last, chain, args[0])
			if err != nil {
				return fmt.Errorf("export into %s: %w", args[0], err)
			}
			printManifest(cmd.OutOrStdout(), "exported", args[0], m)
			return nil
		},
	}
	dataFlags(cmd)
	cmd.Flags().StringVar(&from, "from", "", "first moment: a sequence, a time or an age like 2h (default: where the history begins)")
	cmd.Flags().StringVar(&to, "to", "now", "last moment")
	return cmd
}

func printManifest(w io.Writer, done, file string, m archive.Manifest) {
	fmt.Fprintf(w, "%s  %s\n", done, file)
	fmt.Fprintf(w, "events    %d, sequence %d to %d\n", m.Count, m.First, m.Last)
	fmt.Fprintf(w, "stored    %s to %s\n", m.Begin.Format(time.RFC3339), m.End.Format(time.RFC3339))
	fmt.Fprintf(w, "sha256    %s\n", m.SHA256)
	if m.Chain != nil {
		fmt.Fprintf(w, "chain     %s\n", m.Chain.End)
	}
}

// chainBefore is the log's hash chain before an event; nil if the history that
// is kept doesn't tell.
func chainBefore(cmd *cobra.Command, first uint64) (*events.Chain, error) {
	if first <= 1 {
		return &events.Chain{}, nil
	}
	var chain *events.Chain
	err := withPast(cmd, func(ctx context.Context, _ bus.Bus, p *projections.Projection) error {
		s, err := p.At(ctx, first-1)
		if errors.Is(err, events.ErrGone) {
			return nil
		}
		if err == nil {
			c := s.Chain()
			chain = &c
		}
		return err
	})
	return chain, err
}

// exportFile writes a file that appears when it is whole and synced.
func exportFile(ctx context.Context, log bus.Log, first, last uint64, chain *events.Chain, name string) (archive.Manifest, error) {
	file, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".unfinished-")
	if err != nil {
		return archive.Manifest{}, err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // it has another name by then, if all went well
	w := bufio.NewWriterSize(file, 1<<20)
	m, err := exportSpan(ctx, log, first, last, chain, w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return m, err
	}
	return m, os.Rename(file.Name(), name)
}

func exportSpan(ctx context.Context, log bus.Log, first, last uint64, chain *events.Chain, w io.Writer) (archive.Manifest, error) {
	z := archive.NewWriter(w)
	if chain != nil {
		z.Continue(*chain)
	}
	for e, err := range log.Read(ctx, first) {
		if err != nil {
			return archive.Manifest{}, err
		}
		if e.Sequence > last {
			break
		}
		if err := z.Add(e); err != nil {
			return archive.Manifest{}, err
		}
	}
	return z.Close()
}
