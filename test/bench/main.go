// Command bench measures the whole of Reckon against the limits of its parts
// and against what it replaces, and prints one line a figure. It asserts nothing.
//
//	bench append        durable appends beside etcd's
//	bench cluster       a control plane with hollow nodes (needs bin/reckon)
//	bench history       questions about a log of a million events (likewise)
//	bench controllers   controllers with many objects at once (likewise)
//	bench scheduler     the workloads of Kubernetes' scheduler_perf, on a log on disk
//	bench resync        the part of controllers that needs no binary
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
)

func main() {
	binary := flag.String("reckon", "bin/reckon", "the binary to measure")
	events := flag.Uint64("events", 1_000_000, "how long a log to ask about")
	profiles := flag.String("profiles", "", "an existing folder for profiles: of the heap by history, of the processor by controllers")
	workload := flag.String("workload", "", "the only workload of the scheduler to run")
	cpuProfile := flag.String("cpuprofile", "", "a file for the CPU profile of the scheduler's workloads")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	runs := map[string]func() error{
		"scheduler":   func() error { return profiled(*cpuProfile, func() error { return benchScheduler(ctx, *workload) }) },
		"append":      func() error { return benchAppend(ctx) },
		"cluster":     func() error { return benchCluster(ctx, *binary) },
		"controllers": func() error { return benchControllers(ctx, *binary, *profiles) },
		"resync":      func() error { return benchResync(ctx, *profiles) },
		"history":     func() error { return benchHistory(ctx, *binary, *events, *profiles) },
	}
	for _, name := range flag.Args() {
		run, ok := runs[name]
		if !ok {
			fmt.Fprintf(os.Stderr, "bench: %q is none of append, cluster, controllers, history, scheduler, resync\n", name)
			os.Exit(2)
		}
		if err := run(); err != nil {
			fmt.Fprintf(os.Stderr, "bench %s: %v\n", name, err)
			os.Exit(1)
		}
	}
}

// row prints one figure.
func row(what, format string, args ...any) {
	fmt.Printf("%-75s %s\n", what, fmt.Sprintf(format, args...))
}

// profiled writes a CPU profile of f to a file, if one is named.
func profiled(file string, f func() error) error {
	if file == "" {
		return f()
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	if err := pprof.StartCPUProfile(out); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return f()
}
