package main

import (
	"log/slog"
	"os"
)

// logHandler writes what controller-runtime logs to standard error.
func logHandler() slog.Handler { return slog.NewTextHandler(os.Stderr, nil) }
