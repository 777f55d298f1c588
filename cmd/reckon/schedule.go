package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/projections"
	"github.com/reckon-project/reckon/projections/history"
	"github.com/reckon-project/reckon/scheduler"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
)

func newSchedule() *cobra.Command {
	var q placementQuestion
	var dry bool
	var show int
	cmd := &cobra.Command{
		Use:   "schedule --dry-run -f FILE",
		Short: "Tell where a pod would go, and why, without creating it",
		Long: `Tell on which node a pod would be placed, what every node is to it, and why. The answer is
worked out here, from the log: nothing is created, and the running scheduler isn't asked.

The file holds a pod, or something with a pod template.

  reckon schedule --dry-run -f pod.yaml
  reckon schedule --dry-run -f deployment.yaml -o json
  reckon schedule --dry-run -f pod.yaml --at 2h                         as it was two hours ago
  reckon schedule --dry-run -f pod.yaml --scheduler-config new.yaml     by another configuration`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !dry {
				return errors.New("pods are scheduled by the cluster: this command answers with --dry-run only; create the pod with kubectl create -f")
			}
			return q.answer(cmd, func(s *projections.Snapshot, pod *corev1.Pod, config *scheduler.Config) (any, func(io.Writer) error) {
				t := scheduler.Try(s, pod, config)
				return t, func(w io.Writer) error { return printTrial(w, pod, &t, show) }
			})
		},
	}
	q.flags(cmd)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "place nothing: say only what would happen")
	cmd.Flags().IntVar(&show, "show", 20, "how many nodes to list; 0: all")
	return cmd
}

func newCapacity() *cobra.Command {
	var q placementQuestion
	var limit, show int
	cmd := &cobra.Command{
		Use:   "capacity -f FILE",
		Short: "Tell how many more of a pod fit, and what stops the next one",
		Long: `Tell how many more pods like one fit into the cluster, on which nodes, and what stops the next one.
The answer is worked out here, from the log: nothing is created.

The file holds a pod, or something with a pod template.

  reckon capacity -f pod.yaml
  reckon capacity -f deployment.yaml -o json
  reckon capacity -f pod.yaml --at 2026-11-03T12:00:00Z`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return q.answer(cmd, func(s *projections.Snapshot, pod *corev1.Pod, config *scheduler.Config) (any, func(io.Writer) error) {
				r := scheduler.Fit(s, pod, config, limit)
				return r, func(w io.Writer) error { return printRoom(w, pod, &r, show) }
			})
		},
	}
	q.flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", 100_000, "how many to try at most")
	cmd.Flags().IntVar(&show, "show", 20, "how many nodes to list; 0: all")
	return cmd
}

// placementQuestion is asked about a pod that isn't there.
type placementQuestion struct{ file, namespace, at, output, config string }

func (q *placementQuestion) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.String("data", defaultData, "folder that holds all state of the cluster on this machine")
	f.StringVarP(&q.file, "filename", "f", "", "file with the pod or what has a pod template; - is standard input")
	f.StringVarP(&q.namespace, "namespace", "n", "default", "its namespace, if the file names none")
	f.StringVar(&q.at, "at", "now", "the moment: a sequence, an age or a time")
	f.StringVarP(&q.output, "output", "o", "table", "table or json")
	f.StringVar(&q.config, "scheduler-config", "", "a KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1); none: the default one")
}

// answer asks about the pod at the moment, and prints what ask gives.
func (q *placementQuestion) answer(cmd *cobra.Command, ask func(*projections.Snapshot, *corev1.Pod, *scheduler.Config) (any, func(io.Writer) error)) error {
	if q.output != "table" && q.output != "json" {
		return fmt.Errorf("--output %q is none of table, json", q.output)
	}
	if q.file == "" {
		return errors.New("name the pod's file with --filename")
	}
	pod, err := readPod(cmd.InOrStdin(), q.file, q.namespace)
	if err != nil {
		return err
	}
	config, err := schedulerConfig(q.config)
	if err != nil {
		return err
	}
	moment, err := history.ParseMoment(q.at, time.Now())
	if err != nil {
		return err
	}
	return withPast(cmd, func(ctx context.Context, b bus.Bus, p *projections.Projection) error {
		position, err := moment.Position(ctx, b.Log())
		if err != nil {
			return err
		}
		s, err := p.At(ctx, position)
		if err != nil {
			return err
		}
		setPriority(s, pod)
		answer, print := ask(s, pod, config)
		if q.output == "json" {
			e := json.NewEncoder(cmd.OutOrStdout())
			e.SetIndent("", "  ")
			return e.Encode(answer)
		}
		return print(cmd.OutOrStdout())
	})
}

func printTrial(w io.Writer, pod *corev1.Pod, t *scheduler.Trial, show int) error {
	if t.Node == "" {
		fmt.Fprintf(w, "pod %s/%s would wait: %s\n", pod.Namespace, pod.Name, t.Message)
	} else {
		fmt.Fprintf(w, "pod %s/%s would go to %s: the best of %d of %d nodes\n", pod.Namespace, pod.Name, t.Node, t.Feasible, t.Nodes)
	}
	if len(t.Table) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "NODE\tSCORE\tWHY")
	for i, v := range t.Table {
		if show > 0 && i == show {
			break
		}
		if v.Filter != "" {
			fmt.Fprintf(table, "%s\t-\t%s: %s\n", v.Node, v.Filter, strings.Join(v.Reasons, ", "))
			continue
		}
		fmt.Fprintf(table, "%s\t%d\t%s\n", v.Node, v.Total, scoreWords(v.Scores))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return andMore(w, len(t.Table), show)
}

// scoreWords leaves out what scores nothing.
func scoreWords(scores []scheduler.Scored) string {
	var parts []string
	for _, s := range scores {
		if s.Score != 0 {
			parts = append(parts, fmt.Sprintf("%s %d", s.Name, s.Score))
		}
	}
	return strings.Join(parts, ", ")
}

func printRoom(w io.Writer, pod *corev1.Pod, r *scheduler.Room, show int) error {
	switch {
	case r.Message == "":
		fmt.Fprintf(w, "%d or more like %s/%s fit\n", r.Pods, pod.Namespace, pod.Name)
	case r.Pods == 0:
		fmt.Fprintf(w, "no more like %s/%s fit: %s\n", pod.Namespace, pod.Name, r.Message)
	default:
		fmt.Fprintf(w, "%d more like %s/%s fit; the next one: %s\n", r.Pods, pod.Namespace, pod.Name, r.Message)
	}
	if len(r.Nodes) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "NODE\tPODS")
	for i, n := range r.Nodes {
		if show > 0 && i == show {
			break
		}
		fmt.Fprintf(table, "%s\t%d\n", n.Node, n.Pods)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return andMore(w, len(r.Nodes), show)
}

func andMore(w io.Writer, nodes, show int) error {
	if show == 0 || nodes <= show {
		return nil
	}
	_, err := fmt.Fprintf(w, "and %d more (--show 0 lists all)\n", nodes-show)
	return err
}
