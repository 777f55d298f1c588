package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/bus/trust"
	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
)

// operator is the identity of root's command line on the bus.
const operator = "component:operator"

// connect reaches the bus of the cluster in the data folder.
func connect(cmd *cobra.Command) (bus.Bus, error) {
	f, err := dataFolder(cmd)
	if err != nil {
		return nil, err
	}
	a, err := f.readAccess()
	if err != nil {
		return nil, err
	}
	b, err := a.connect(cmd.Context(), operator)
	if err != nil {
		return nil, err
	}
	whole, err := f.withArchive(b)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return whole, nil
}

// readAccess reads how to reach the running cluster of the folder.
func (f folder) readAccess() (access, error) {
	data, err := os.ReadFile(f.credentials())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return access{}, fmt.Errorf("no cluster in %s: start one with reckon up --data %s, or name its folder with --data", f, f)
	case errors.Is(err, fs.ErrPermission):
		return access{}, fmt.Errorf("%s is readable by root only: run this as root", f.credentials())
	case err != nil:
		return access{}, err
	}
	var a access
	if err := json.Unmarshal(data, &a); err != nil {
		return access{}, fmt.Errorf("%s is damaged: %w", f.credentials(), err)
	}
	pid, err := f.running()
	if err != nil {
		return access{}, err
	}
	if pid == 0 {
		return access{}, fmt.Errorf("the cluster in %s isn't running: start it with reckon up --data %s", f, f)
	}
	a.files = server.Files(string(f))
	return a, nil
}

// connect reaches the bus as identity.
func (a access) connect(ctx context.Context, identity string) (bus.Bus, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	config, err := trust.Client([]byte(a.Authority))
	if err != nil {
		return nil, err
	}
	b, err := bus.Connect(ctx, a.URL, bus.Credentials{Identity: identity, Password: a.token(identity), TLS: config, Files: a.files})
	if err != nil {
		return nil, fmt.Errorf("connect to the bus at %s: %w", a.URL, err)
	}
	return b, nil
}

// apiOnBus is a client configuration for the Kubernetes API, reached over the
// bus as identity.
func apiOnBus(b bus.Bus, identity string) *rest.Config {
	return &rest.Config{
		Host: "http://bus",
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return b.Dial(ctx, "api."+identity+".conn")
			},
			MaxIdleConnsPerHost: 4,
			IdleConnTimeout:     30 * time.Second,
		},
		QPS: -1,
	}
}
