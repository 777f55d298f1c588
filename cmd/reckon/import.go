package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"

	"github.com/reckon-project/reckon/bus/archive"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/events"
	"github.com/spf13/cobra"
)

func newImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE --data DIR",
		Short: "Make a new data folder from a log that reckon export wrote",
		Long: `Make a new data folder whose log is that of FILE: every event with its own sequence and time. The file's
checksums are verified before anything is written, and nothing is left if it fails.

The keys of secrets are not in a log: values of Secrets can't be read in the new cluster. A cluster started
from the folder acts on what it finds there: to look at it without running its pods, use reckon server, or
reckon up with hollow nodes.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("data") && os.Getenv("RECKON_DATA") == "" {
				return errors.New("name the new folder with --data")
			}
			f, err := dataFolder(cmd)
			if err != nil {
				return err
			}
			m, err := importFile(cmd.Context(), f, args[0])
			if err != nil {
				return fmt.Errorf("import %s: %w", args[0], err)
			}
			printManifest(cmd.OutOrStdout(), "imported", args[0], m)
			fmt.Fprintf(cmd.OutOrStdout(), "folder    %s\n", f)
			return nil
		},
	}
	dataFlags(cmd)
	return cmd
}

// importFile verifies a segment and then fills a new folder with it.
func importFile(ctx context.Context, f folder, name string) (archive.Manifest, error) {
	file, err := os.Open(name)
	if err != nil {
		return archive.Manifest{}, err
	}
	defer file.Close()
	m, err := verifySegment(ctx, file, name)
	switch {
	case err != nil:
		return m, err
	case m.First != 1:
		return m, fmt.Errorf("%w: it begins with event %d: a cluster's folder needs the log from event 1 on (export it without --from); reckon replay reads this file as it is", events.ErrInvalid, m.First)
	}
	pid, err := f.running()
	if err == nil && pid != 0 {
		err = fmt.Errorf("%w: the cluster in %s is running", events.ErrExists, f)
	}
	if err == nil {
		_, err = os.Stat(f.nats())
		switch {
		case err == nil:
			err = fmt.Errorf("%w: %s has a log already: name a folder that is new", events.ErrExists, f)
		case errors.Is(err, fs.ErrNotExist):
			err = f.prepare()
		}
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return m, err
	}
	segment, err := archive.NewReader(file, name)
	if err != nil {
		return m, err
	}
	if err := server.Import(ctx, server.Options{Dir: string(f)}, 1, eventsOf(segment), nil); err != nil {
		return m, errors.Join(err, os.RemoveAll(f.nats()))
	}
	return m, nil
}

// verifySegment reads all of a segment and gives its manifest, or names what is wrong.
func verifySegment(ctx context.Context, r io.Reader, name string) (archive.Manifest, error) {
	segment, err := archive.NewReader(r, name)
	if err != nil {
		return archive.Manifest{}, err
	}
	var damage []error
	for _, err := range segment.Frames() {
		if err != nil {
			damage = append(damage, err)
		}
		if ctx.Err() != nil {
			return archive.Manifest{}, ctx.Err()
		}
	}
	m, ok := segment.Manifest()
	if !ok && len(damage) == 0 {
		damage = append(damage, fmt.Errorf("%w: it has no manifest", events.ErrInvalid))
	}
	return m, errors.Join(damage...)
}

func eventsOf(segment *archive.Reader) iter.Seq2[*events.Event, error] {
	return func(yield func(*events.Event, error) bool) {
		for slice, err := range segment.Frames() {
			for _, e := range slice {
				if !yield(e, nil) {
					return
				}
			}
			if err != nil && !yield(nil, err) {
				return
			}
		}
	}
}

// nats is the folder of the bus's own data.
func (f folder) nats() string { return f.path("nats") }
