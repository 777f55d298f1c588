package main

import (
	"fmt"
	"os"

	"github.com/reckon-project/reckon/agent/direct/logger"
	"github.com/spf13/cobra"
)

const containerLogs = "container-logs"

// newContainerLogs is what a node that drives containerd directly starts beside
// itself: it writes the containers' logs while the node is away, too.
func newContainerLogs() *cobra.Command {
	return &cobra.Command{
		Use:    containerLogs + " SOCKET",
		Short:  "Write the logs of a node's containers",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE:   func(_ *cobra.Command, args []string) error { return logger.Serve(args[0]) },
	}
}

// loggerCommand starts it.
func loggerCommand() ([]string, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return []string{program, containerLogs}, nil
}
