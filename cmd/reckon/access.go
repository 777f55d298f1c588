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
	"os"

	"github.com/reckon-project/reckon/bus/server"
)

// access is the content of the file (0600) that lets root's command line reach
// the bus, and from which the nodes' tokens are derived.
type access struct {
	URL    string `json:"url"`
	Secret string `json:"secret"`
}

// access reads the file, or makes it, for a bus that listens on address.
func (f folder) access(address string) (access, error) {
	a := access{URL: "nats://" + address}
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

// token is what proves an identity to the bus.
func (a access) token(identity string) string {
	mac := hmac.New(sha256.New, []byte(a.Secret))
	mac.Write([]byte(identity))
	return hex.EncodeToString(mac.Sum(nil))
}

// authenticate lets in who shows the token of the identity that they claim.
func (a access) authenticate(l server.Login) (string, error) {
	if !hmac.Equal([]byte(l.Password), []byte(a.token(l.User))) {
		return "", fmt.Errorf("wrong token for %q", l.User)
	}
	return l.User, nil
}
