package main

import (
	"context"

	"github.com/reckon-project/reckon/agent/containerd"
	"github.com/reckon-project/reckon/agent/cri"
	"github.com/reckon-project/reckon/bus"
	"github.com/spf13/cobra"
)

func runNode(ctx context.Context, b bus.Bus, o planeOptions) error { <-ctx.Done(); return nil }
func (f folder) purgeNode(ctx context.Context) error               { return nil }
func (p *plane) runControllers(ctx context.Context) error          { <-ctx.Done(); return nil }
func newAgent() *cobra.Command                                     { return &cobra.Command{Use: "agent"} }
func newHollow() *cobra.Command                                    { return &cobra.Command{Use: "hollow"} }

// containerdOf connects to the containerd that a command is about.
func containerdOf(cmd *cobra.Command) (*cri.Client, error) {
	address, err := cmd.Flags().GetString("containerd")
	if err != nil {
		return nil, err
	}
	if address == "" {
		f, err := dataFolder(cmd)
		if err != nil {
			return nil, err
		}
		address = containerd.Layout{Dir: f.nodeDir()}.Address()
	}
	return cri.Dial(address)
}
