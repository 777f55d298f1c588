package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/projections"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
)

func newStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how the cluster of this machine is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := dataFolder(cmd)
			if err != nil {
				return err
			}
			return withPast(cmd, func(ctx context.Context, b bus.Bus, p *projections.Projection) error {
				first, last, err := b.Log().Range(ctx)
				if err != nil {
					return err
				}
				if err := p.WaitFor(ctx, last); err != nil {
					return err
				}
				pid, err := f.running()
				if err != nil {
					return err
				}
				return printStatus(cmd.OutOrStdout(), f, pid, first, p.Snapshot())
			})
		},
	}
	dataFlags(cmd)
	return cmd
}

func printStatus(w io.Writer, f folder, pid int, first uint64, s *projections.Snapshot) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "server\trunning, pid %d, data in %s\n", pid, f)
	fmt.Fprintf(t, "log\tevents %d to %d, newest at %s, %d void\n", first, s.Position(), s.Time().Local().Format("2006-01-02 15:04:05"), s.Voids())
	for _, component := range []string{"scheduler", "controllers", "nodefeed"} {
		if epoch := s.Epoch(component); epoch != 0 {
			fmt.Fprintf(t, "%s\tled since event %d\n", component, epoch)
		}
	}
	for node := range projections.List[*corev1.Node](s, "", "nodes", "") {
		fmt.Fprintf(t, "node %s\t%s\n", node.Name, nodeState(node))
	}
	phases := map[string]int{}
	for pod := range projections.List[*corev1.Pod](s, "", "pods", "") {
		phases[string(pod.Status.Phase)]++
	}
	var counts []string
	for _, phase := range slices.Sorted(maps.Keys(phases)) {
		counts = append(counts, fmt.Sprintf("%d %s", phases[phase], phase))
	}
	if len(counts) == 0 {
		counts = []string{"none"}
	}
	fmt.Fprintf(t, "pods\t%s\n", strings.Join(counts, ", "))
	return t.Flush()
}

func nodeState(n *corev1.Node) string {
	state := "not ready"
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			switch c.Status {
			case corev1.ConditionTrue:
				state = "ready"
			default:
				state = "not ready: " + c.Message
			}
		}
	}
	if n.Spec.Unschedulable {
		state += ", cordoned"
	}
	return state
}
