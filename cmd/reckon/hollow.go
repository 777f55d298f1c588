package main

import "github.com/spf13/cobra"

func newHollow() *cobra.Command { return &cobra.Command{Use: "hollow"} }
