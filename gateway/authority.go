package gateway

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"path/filepath"
)

// Authority is the cluster's own certificate authority, which the API believes
// about its clients: who has the key can be anybody.
func (s *Server) Authority() (*x509.Certificate, crypto.Signer, error) {
	p := pki{filepath.Join(s.options.Dir, "pki")}
	cert, err := p.cert("ca.crt")
	if err != nil {
		return nil, nil, err
	}
	if cert == nil {
		return nil, nil, fmt.Errorf("there is no %s", p.path("ca.crt"))
	}
	key, err := p.key("ca.key")
	return cert, key, err
}
