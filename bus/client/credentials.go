package client

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/reckon-project/reckon/events"
)

// Credentials are all that a program needs to reach its cluster; reckon
// controller create writes them into a file.
type Credentials struct {
	URL       string `json:"url"`      // of the bus, "tls://host:port"; several with commas
	Identity  string `json:"identity"` // "controller:<namespace>:<service account>"
	Token     string `json:"token"`    // proves the identity
	Authority string `json:"authority,omitempty"`
}

// Load reads credentials from a file.
func Load(path string) (Credentials, error) {
	var c Credentials
	data, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("read the credentials: %w", err)
	}
	if err := json.Unmarshal(data, &c); err != nil || c.URL == "" || c.Identity == "" {
		return c, fmt.Errorf("%w: %s holds no credentials: reckon controller create makes them", events.ErrInvalid, path)
	}
	return c, nil
}

// Identity names a service account on the bus.
func Identity(namespace, name string) string { return "controller:" + namespace + ":" + name }
