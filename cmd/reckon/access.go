package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/bus/trust"
)

// access is the content of the file (0600) that lets root's command line reach
// the bus, and from which the nodes' tokens are derived.
type access struct {
	URL       string `json:"url"`
	Secret    string `json:"secret"`
	Authority string `json:"authority"` // of the bus's servers, PEM
	files     bus.Files
}

// access reads the file, or makes it, for a bus that listens on address.
func (f folder) access(address string, authority *trust.Authority) (access, error) {
	a := access{URL: "tls://" + reachable(address), Authority: string(authority.PEM())}
	data, err := os.ReadFile(f.credentials())
	switch {
	case err == nil:
		var had access
		if err := json.Unmarshal(data, &had); err != nil || had.Secret == "" {
			return access{}, fmt.Errorf("%s is damaged: remove it to have a new one made (nodes then need new tokens)", f.credentials())
		}
		a.Secret = had.Secret
	case errors.Is(err, fs.ErrNotExist):
		b := make([]byte, 32)
		if _, err := rand.Read(b); err != nil {
			return access{}, err
		}
		a.Secret = hex.EncodeToString(b)
	default:
		return access{}, err
	}
	if data, err = json.Marshal(a); err != nil {
		return access{}, err
	}
	return a, os.WriteFile(f.credentials(), data, 0o600)
}

// reachable is where a program on this machine reaches what listens on address.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}

// token is what proves an identity to the bus.
func (a access) token(identity string) string {
	mac := hmac.New(sha256.New, []byte(a.Secret))
	mac.Write([]byte(identity))
	return hex.EncodeToString(mac.Sum(nil))
}

// anyServer is the identity whose token lets a server of any name join.
const anyServer = "server:"

// authenticate lets in who shows the token of the identity that they claim.
func (a access) authenticate(l server.Login) (string, error) {
	if strings.HasPrefix(l.User, anyServer) && hmac.Equal([]byte(l.Password), []byte(a.token(anyServer))) {
		return l.User, nil
	}
	if !hmac.Equal([]byte(l.Password), []byte(a.token(l.User))) {
		return "", fmt.Errorf("wrong token for %q", l.User)
	}
	return l.User, nil
}
