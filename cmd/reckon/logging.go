package main

import (
	"fmt"
	"log/slog"
	"os"

	"k8s.io/klog/v2"
)

// setLogging sends what the program and the libraries in it log to standard
// error, from a level on. Progress and answers go to standard output.
func setLogging(level string) error {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return fmt.Errorf("--log-level %q is none of debug, info, warn, error", level)
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l}))
	slog.SetDefault(logger)
	klog.SetSlogLogger(logger)
	return nil
}
