package gateway

import (
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
)

const (
	certKept  = time.Minute // how long a verified client certificate is believed
	mostCerts = 4096
)

// certAuthenticator remembers who a client certificate belongs to for a short
// while: verifying one costs more than all else in an authentication, and a
// client sends the same one with each request of its connection.
type certAuthenticator struct {
	next authenticator.Request
	now  func() time.Time

	mu    sync.Mutex
	known map[[sha256.Size]byte]knownCert
}

type knownCert struct {
	response *authenticator.Response
	until    time.Time
}

func newCertAuthenticator(next authenticator.Request) *certAuthenticator {
	return &certAuthenticator{next: next, now: time.Now, known: map[[sha256.Size]byte]knownCert{}}
}

// AuthenticateRequest implements authenticator.Request. Requests that carry
// anything else that says who they are from (a token, a proxy's headers) aren't
// answered from memory.
func (a *certAuthenticator) AuthenticateRequest(r *http.Request) (*authenticator.Response, bool, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || r.Header.Get("Authorization") != "" || r.Header.Get("X-Remote-User") != "" || r.Header.Get("Sec-WebSocket-Protocol") != "" {
		return a.next.AuthenticateRequest(r)
	}
	cert := r.TLS.PeerCertificates[0]
	id := sha256.Sum256(cert.Raw)
	now := a.now()
	a.mu.Lock()
	have, ok := a.known[id]
	a.mu.Unlock()
	if ok && now.Before(have.until) {
		return have.response, true, nil
	}
	response, ok, err := a.next.AuthenticateRequest(r)
	if !ok || err != nil {
		return response, ok, err
	}
	until := now.Add(certKept)
	if cert.NotAfter.Before(until) {
		until = cert.NotAfter
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= mostCerts {
		clear(a.known)
	}
	a.known[id] = knownCert{response, until}
	return response, true, nil
}
