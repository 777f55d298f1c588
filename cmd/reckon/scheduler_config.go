package main

import (
	"fmt"
	"os"

	"github.com/reckon-project/reckon/scheduler"
)

// schedulerConfig reads a KubeSchedulerConfiguration; nil for no file: the default one.
func schedulerConfig(file string) (*scheduler.Config, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	config, err := scheduler.ParseConfig(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return config, nil
}
