package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	metrics "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/reckon-project/reckon/bus/client"
)

func main() {
	if err := run(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	credentials := flag.String("credentials", "guestbook.json", "what reckon controller create wrote")
	flag.Parse()
	ctrl.SetLogger(logr.FromSlogHandler(logHandler()))

	// This is all that is Reckon's.
	who, err := client.Load(*credentials)
	if err != nil {
		return err
	}
	cluster, err := client.Open(ctx, who)
	if err != nil {
		return err
	}
	defer cluster.Close()
	config := &rest.Config{Host: "http://reckon", Transport: cluster.Transport()}

	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	AddToScheme(scheme)
	lease, renew, retry := 6*time.Second, 4*time.Second, time.Second
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:  scheme,
		Metrics: metrics.Options{BindAddress: "0"},
		// One of several replicas leads.
		LeaderElection: true, LeaderElectionID: "guestbook", LeaderElectionNamespace: "default",
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &lease, RenewDeadline: &renew, RetryPeriod: &retry,
	})
	if err != nil {
		return err
	}
	if err := (&Reconciler{Client: manager.GetClient(), Scheme: scheme}).SetupWithManager(manager); err != nil {
		return err
	}
	return manager.Start(ctx)
}
