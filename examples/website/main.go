package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/reckon-project/reckon/bus/client"
	"github.com/reckon-project/reckon/controllers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	credentials := flag.String("credentials", "website-operator.json", "what reckon controller create wrote")
	listen := flag.String("listen", "", "where to serve /metrics, /healthz and /readyz (127.0.0.1:8080)")
	dry := flag.Bool("dry-run", false, "print what would be done, and do nothing")
	flag.Parse()

	who, err := client.Load(*credentials)
	if err != nil {
		return err
	}
	cluster, err := client.Open(ctx, who)
	if err != nil {
		return err
	}
	defer cluster.Close()
	program := controllers.Program{Cluster: cluster, Listen: *listen}
	if *dry {
		program.DryRun = os.Stdout
	}
	return program.Run(ctx, New())
}
