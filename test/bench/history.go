package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// seen is a pod that there was at a position.
type seen struct {
	at   uint64
	name string
}

// recently is how many of the last events count as recent.
const recently = 20_000

// benchHistory has hollow nodes make a log of many events, and asks about it.
// Heap profiles of the server go to the folder profiles, if there is one.
func benchHistory(ctx context.Context, binary string, events uint64, profiles string) error {
	dir, err := os.MkdirTemp("", "reckon-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c, err := newCluster(binary, dir)
	if err != nil {
		return err
	}
	defer c.stop()
	c.profiles = profiles
	if _, err := c.start(ctx); err != nil {
		return err
	}
	if err := c.startHollow(ctx, 100); err != nil {
		return err
	}
	begun := time.Now()
	pods, last, err := roll(ctx, c, events)
	if err != nil {
		return err
	}
	if profiles != "" {
		if err := c.server.memory(ctx, "right then", profiles); err != nil {
			return err
		}
	}
	row("log made by rolling Deployments on 100 hollow nodes", "%d events in %.0f s, server CPU %.0f µs an event",
		last, time.Since(begun).Seconds(), float64(c.server.cpu().Microseconds())/float64(last))
	c.hollow.stop(syscall.SIGTERM)
	c.hollow = nil
	select { // what a busy time leaves behind goes back to the system after ten seconds
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(20 * time.Second):
	}
	if err := c.server.memory(ctx, "with it", profiles); err != nil {
		return err
	}
	if err := ask(ctx, c, pods, last); err != nil {
		return err
	}
	if err := c.server.memory(ctx, "after the questions", profiles); err != nil {
		return err
	}
	return verify(ctx, c, last)
}

// roll changes the templates of Deployments, again and again, until the log has
// that many events.
func roll(ctx context.Context, c *cluster, events uint64) (pods []seen, last uint64, err error) {
	names := []string{"roll-0", "roll-1", "roll-2", "roll-3"}
	for _, name := range names {
		if err := deploy(ctx, c.client, name, 250); err != nil {
			return nil, 0, err
		}
	}
	deployments := c.client.AppsV1().Deployments("default")
	for round := 0; ; round++ {
		for _, name := range names {
			err := await(ctx, 5*time.Minute, name+" rolled out", func() (bool, error) {
				d, err := deployments.Get(ctx, name, metav1.GetOptions{})
				if err != nil {
					return false, err
				}
				s := d.Status
				return s.ObservedGeneration == d.Generation && s.UpdatedReplicas == 250 && s.AvailableReplicas == 250 && s.Replicas == 250, nil
			})
			if err != nil {
				return nil, 0, err
			}
			// Without a limit: the server keeps the state of a list in pages for minutes.
			list, err := c.client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=" + name})
			if err != nil {
				return nil, 0, err
			}
			if last, err = strconv.ParseUint(list.ResourceVersion, 10, 64); err != nil {
				return nil, 0, err
			}
			for _, p := range list.Items[:min(20, len(list.Items))] {
				pods = append(pods, seen{last, p.Name})
			}
			if last >= events {
				return pods, last, nil
			}
			patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"round":"%d"}}}}}`, round)
			if _, err := deployments.Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
				return nil, 0, err
			}
		}
	}
}

// ask measures questions about recent moments and about any.
func ask(ctx context.Context, c *cluster, pods []seen, last uint64) error {
	recent := pods[slices.IndexFunc(pods, func(s seen) bool { return s.at+recently >= last }):]
	random := rand.New(rand.NewPCG(1, 2))
	for _, period := range []struct {
		name string
		aim  string
		from []seen
	}{{"of the last 20,000 events", "200 ms", recent}, {"anywhere", "2 s", pods}} {
		for _, question := range []struct{ name, path string }{
			{"history of a pod", "/history/v1/objects/core/pods/default/%[2]s"},
			{"why a pod", "/history/v1/why/core/pods/default/%[2]s"},
			{"list of 500 pods then", "/at/%[1]d/api/v1/namespaces/default/pods?limit=500"},
		} {
			var took []time.Duration
			for range 40 {
				s := period.from[random.IntN(len(period.from))]
				begun := time.Now()
				request := c.client.RESTClient().Get().RequestURI(fmt.Sprintf(question.path, s.at, s.name))
				if answer, err := request.DoRaw(ctx); err != nil {
					return fmt.Errorf("%s (%s at %d): %w: %s", question.name, s.name, s.at, err, answer)
				}
				took = append(took, time.Since(begun))
			}
			slices.Sort(took)
			row(question.name+", "+period.name, "p50 %.0f ms, p95 %.0f ms (aim %s)",
				took[len(took)/2].Seconds()*1e3, took[len(took)*95/100].Seconds()*1e3, period.aim)
		}
	}
	return nil
}

// verify has the command check the whole log.
func verify(ctx context.Context, c *cluster, last uint64) error {
	cmd := exec.CommandContext(ctx, c.binary, "verify", "--data", c.data())
	begun := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("verify: %w: %s", err, out)
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	row("reckon verify", "%.0f events/s (aim 150,000 on one core), %.0f a CPU-second of its own",
		float64(last)/time.Since(begun).Seconds(), float64(last)/cpu.Seconds())
	return nil
}
