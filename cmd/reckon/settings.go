package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

const defaultData = "/var/lib/reckon"

// dataFlags adds the flags that every command about a cluster has.
func dataFlags(cmd *cobra.Command) {
	cmd.Flags().String("data", defaultData, "folder that holds all state of the cluster on this machine")
	cmd.Flags().String("config", "", "YAML file with settings, named as the flags are")
}

// applySettings gives flags that weren't set on the command line the value of
// the environment or the file.
func applySettings(cmd *cobra.Command, v *viper.Viper) error {
	var failed error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "config" || !v.IsSet(f.Name) || failed != nil {
			return
		}
		if err := cmd.Flags().Set(f.Name, v.GetString(f.Name)); err != nil {
			failed = fmt.Errorf("setting %s: %w", f.Name, err)
		}
	})
	return failed
}

// folder is the data folder and what lies where in it.
type folder string

func dataFolder(cmd *cobra.Command) (folder, error) {
	dir, err := cmd.Flags().GetString("data")
	if err != nil {
		return "", err
	}
	abs, err := filepath.Abs(dir)
	return folder(abs), err
}

func (f folder) path(name string) string { return filepath.Join(string(f), name) }

func (f folder) pidFile() string     { return f.path("reckon.pid") }
func (f folder) logFile() string     { return f.path("reckon.log") }
func (f folder) formatFile() string  { return f.path("format") }
func (f folder) kubeconfig() string  { return f.path("admin.kubeconfig") }
func (f folder) credentials() string { return f.path("admin.bus") }
func (f folder) keys() string        { return f.path("keys") }
func (f folder) pkiDir() string      { return f.path("pki") }
func (f folder) clusterKey() string  { return f.path("cluster.key") }
func (f folder) clusterFile() string { return f.path("cluster.json") }
func (f folder) nodeDir() string     { return f.path("node") }
