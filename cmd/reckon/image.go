package main

import (
	"fmt"

	"github.com/reckon-project/reckon/agent/image"
	"github.com/spf13/cobra"
)

func newImage() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Bring images to this machine's node without a registry",
	}
	cmd.AddCommand(newImageImport(), newImageBuild())
	return cmd
}

func newImageImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE.tar",
		Short: "Import an image archive (OCI or docker save)",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			daemon, err := containerdOf(cmd)
			if err != nil {
				return err
			}
			defer daemon.Close()
			names, err := image.ImportFile(cmd.Context(), daemon.Daemon(), args[0])
			if err != nil {
				return fmt.Errorf("import %s: %w", args[0], err)
			}
			for _, n := range names {
				fmt.Fprintln(cmd.OutOrStdout(), "imported", n)
			}
			return nil
		},
	}
	dataFlags(cmd)
	cmd.Flags().String("containerd", "", "socket of the containerd to import into (default: the cluster's own)")
	return cmd
}

func newImageBuild() *cobra.Command {
	var spec image.Spec
	var tag string
	cmd := &cobra.Command{
		Use:   "build PATH",
		Short: "Make an image from a static binary or a folder, and import it",
		Long: `Make an image from a static binary or a folder, and import it. A binary becomes the
image's entry point; a folder becomes its root.

  reckon image build --tag example.com/hello:1 --env VERSION=1 bin/hello
  reckon image build --tag example.com/site:1 --entrypoint /bin/httpd ./rootfs`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			spec.Path = args[0]
			img, err := image.Build(spec)
			if err != nil {
				return fmt.Errorf("build %s: %w", args[0], err)
			}
			daemon, err := containerdOf(cmd)
			if err != nil {
				return err
			}
			defer daemon.Close()
			name, err := image.Load(cmd.Context(), daemon.Daemon(), tag, img)
			if err != nil {
				return fmt.Errorf("import %s: %w", tag, err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "imported", name)
			return err
		},
	}
	dataFlags(cmd)
	cmd.Flags().String("containerd", "", "socket of the containerd to import into (default: the cluster's own)")
	cmd.Flags().StringVar(&tag, "tag", "", "the image's name")
	cmd.Flags().StringArrayVar(&spec.Env, "env", nil, "NAME=VALUE, an environment variable of its containers")
	cmd.Flags().StringSliceVar(&spec.Entrypoint, "entrypoint", nil, "the program and its arguments (default: the binary)")
	cobra.CheckErr(cmd.MarkFlagRequired("tag"))
	return cmd
}
