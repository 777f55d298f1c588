package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	"github.com/reckon-project/reckon/projections/sealed"
	"github.com/spf13/cobra"
)

func newVerify() *cobra.Command {
	var anchors, writeAnchor string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that the log is what it was, from its beginning",
		Long: `Fold the log again from its beginning (or, where it was trimmed, from its first checkpoint) and compare every
event's place in the hash chain, and the states, with all signed checkpoints and with what the running server holds
in memory. What was changed, removed, added or moved is found and located between two signed points. Nothing is
written but the anchor that you ask for.

An anchor is one line that says how far the log reached, and its hash there. Keep anchors outside the cluster: with
one, even the loss of the log's newest part is found.

  reckon verify
  reckon verify --write-anchor /mnt/elsewhere/anchors     adds a line, if all is well
  reckon verify --anchors /mnt/elsewhere/anchors`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			known, err := readAnchors(anchors)
			if err != nil {
				return err
			}
			key, err := signingKey(cmd)
			if err != nil {
				return err
			}
			report, err := verifyLog(cmd, key.Public().(ed25519.PublicKey), known)
			if err != nil {
				return err
			}
			printReport(cmd.OutOrStdout(), report)
			if !report.OK() {
				return fmt.Errorf("the log isn't what it was: %d findings, see above", len(report.Findings))
			}
			if writeAnchor == "" {
				return nil
			}
			if report.Chained > 0 && report.Last < report.Chained {
				return fmt.Errorf("no anchor written: the log has no chain yet")
			}
			return appendAnchor(writeAnchor, projections.NewAnchor(report.Last, report.Chain, time.Now(), key))
		},
	}
	dataFlags(cmd)
	cmd.Flags().StringVar(&anchors, "anchors", "", "a file of anchors to compare with")
	cmd.Flags().StringVar(&writeAnchor, "write-anchor", "", "if all is well, add an anchor of the log's end to this file")
	return cmd
}

// signingKey is the key of the cluster in the data folder.
func signingKey(cmd *cobra.Command) (ed25519.PrivateKey, error) {
	f, err := dataFolder(cmd)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(f.clusterKey()); err != nil {
		return nil, fmt.Errorf("the cluster's key, to check signatures with: %w", err)
	}
	return f.signingKey()
}

// signingKey is what the folder's cluster signs checkpoints and anchors with.
func (f folder) signingKey() (ed25519.PrivateKey, error) {
	cluster, err := sealed.ClusterKey(f.clusterKey())
	if err != nil {
		return nil, err
	}
	return sealed.SigningKey(cluster)
}

func verifyLog(cmd *cobra.Command, key ed25519.PublicKey, anchors []projections.Anchor) (*projections.Report, error) {
	b, err := connect(cmd)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	first, last, err := b.Log().Range(cmd.Context())
	if err != nil {
		return nil, err
	}
	m := newMeter(cmd.ErrOrStderr(), "verify", max(first, 1)-1, last)
	defer m.end()
	collectSeldom(768 << 20)
	live, err := projections.AskLive(cmd.Context(), b)
	if err != nil && !errors.Is(err, events.ErrUnavailable) { // a server that just started isn't asked
		return nil, err
	}
	report, err := projections.Verify(cmd.Context(), b.Log(), b.Blobs(), key, projections.VerifyOptions{Anchors: anchors, Live: live, Progress: m.reached})
	if err != nil && cmd.Context().Err() != nil {
		return nil, context.Cause(cmd.Context())
	}
	return report, err
}

func printReport(w io.Writer, r *projections.Report) {
	switch {
	case r.Last < r.First:
		fmt.Fprintf(w, "log          no events behind %d\n", r.First-1)
	case r.Base > 0:
		fmt.Fprintf(w, "log          %d events, %d to %d, from the checkpoint at %d: what was before is trimmed\n", r.Last-r.First+1, r.First, r.Last, r.Base)
	default:
		fmt.Fprintf(w, "log          %d events, from the beginning to %d\n", r.Last, r.Last)
	}
	if r.Chained > 0 {
		fmt.Fprintf(w, "chain        begins after %d, where this version of reckon began\n", r.Chained)
	}
	fmt.Fprintf(w, "chain        %s at %d, %s\n", r.Chain, r.Last, r.Time.Format(time.RFC3339))
	fmt.Fprintf(w, "void         %d events without effect\n", r.Voids)
	fmt.Fprintf(w, "checkpoints  %d agree", r.Checkpoints)
	if r.Unsigned > 0 {
		fmt.Fprintf(w, ", %d of them are older than the chain", r.Unsigned)
	}
	fmt.Fprintf(w, "\nanchors      %d agree\n", r.Anchors)
	if r.Live {
		fmt.Fprintln(w, "live state   agrees")
	}
	for _, f := range r.Findings {
		fmt.Fprintf(w, "WRONG        %s\n", f)
	}
	if r.OK() {
		fmt.Fprintln(w, "all is well")
	}
}

func readAnchors(path string) ([]projections.Anchor, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	anchors, err := projections.ReadAnchors(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return anchors, nil
}

// appendAnchor adds a line to a file, durably.
func appendAnchor(path string, a projections.Anchor) error {
	line, err := json.Marshal(a)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
