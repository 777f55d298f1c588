// Command hello is the tour's application: a web server that says its version
// and the name of the pod it runs in. It answers until the last moment: on
// SIGTERM it goes unready, waits for the proxies to notice, and finishes what
// it had begun.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	version, address := os.Getenv("VERSION"), os.Getenv("LISTEN")
	if len(os.Args) > 1 && os.Args[1] == "version" {
		fmt.Println(version)
		return
	}
	if address == "" {
		address = ":8080"
	}
	host, err := os.Hostname()
	if err != nil {
		log.Fatal(err)
	}
	var stopping atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello from %s, version %s\n", host, version)
	})
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {
		if stopping.Load() {
			http.Error(w, "stopping", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-ctx.Done()
		log.Print("stopping")
		stopping.Store(true)
		linger := time.NewTimer(2 * time.Second)
		defer linger.Stop()
		<-linger.C
		bounded, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Shutdown(bounded); err != nil {
			log.Print(err)
		}
	}()
	log.Printf("hello version %s listens on %s", version, address)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	<-done
}
