package trust

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/reckon-project/reckon/events"
)

// Listen is the configuration of a server that programs connect to.
func (a *Authority) Listen() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.certificate() },
	}
}

// Peers is the configuration between servers, for both sides of a connection.
func (a *Authority) Peers() *tls.Config {
	c := a.Listen()
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	c.ServerName, c.RootCAs = Name, pool
	c.ClientCAs, c.ClientAuth = pool, tls.RequireAndVerifyClientCert
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return a.certificate() }
	return c
}

// Client is the configuration of a program that has the authority's
// certificate (PEM).
func Client(authority []byte) (*tls.Config, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%w: there is no certificate of the bus's authority", events.ErrInvalid)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, ServerName: Name, RootCAs: pool}, nil
}

// Hash names the authority in join tokens: the SHA-256 of its public key, as
// hexadecimal digits.
func (a *Authority) Hash() string { return hash(a.cert) }

func hash(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// ErrStranger says that a server isn't one of the cluster that a token is for.
var ErrStranger = errors.New("the server doesn't belong to the cluster that the token is for")

// Pinned is the configuration of a program that knows the authority's hash.
func Pinned(hash string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: Name,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection does it, by the hash
		VerifyConnection:   func(s tls.ConnectionState) error { return verify(s.PeerCertificates, hash) },
	}
}

// verify checks a server's chain against the hash of its authority.
func verify(chain []*x509.Certificate, want string) error {
	pool := x509.NewCertPool()
	found := false
	for _, c := range chain {
		if c.IsCA && subtle.ConstantTimeCompare([]byte(hash(c)), []byte(want)) == 1 {
			pool.AddCert(c)
			found = true
		}
	}
	if !found {
		return ErrStranger
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: Name, Roots: pool})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStranger, err)
	}
	return nil
}
