package gateway

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	certutil "k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

const (
	certLife  = 365 * 24 * time.Hour
	renewLeft = 60 * 24 * time.Hour // a certificate closer to its end is renewed
)

// pki is the set of keys and certificates under one directory.
type pki struct{ dir string }

func (p pki) path(name string) string { return filepath.Join(p.dir, name) }

// authority is a CA: it signs certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// authority loads the CA <name>.crt, .key, or makes it.
func (p pki) authority(name, commonName string, now time.Time) (authority, error) {
	key, err := p.key(name + ".key")
	if err != nil {
		return authority{}, err
	}
	if cert, err := p.cert(name + ".crt"); err != nil {
		return authority{}, err
	} else if cert != nil {
		return authority{cert, key}, nil
	}
	cert, err := certutil.NewSelfSignedCACert(certutil.Config{CommonName: commonName, NotBefore: now.Add(-time.Minute)}, key)
	if err != nil {
		return authority{}, fmt.Errorf("make the certificate authority %s: %w", name, err)
	}
	return authority{cert, key}, p.write(name+".crt", encodeCert(cert), 0o644)
}

// leaf says what a certificate is for.
type leaf struct {
	name          string // of its files
	commonName    string
	organizations []string
	names         []string // DNS names and IP addresses
	usage         x509.ExtKeyUsage
}

// issue makes the certificate l, or keeps the one there is if it was signed by
// ca, covers l's names and is valid for a while.
func (p pki) issue(ca authority, l leaf, now time.Time) error {
	key, err := p.key(l.name + ".key")
	if err != nil {
		return err
	}
	have, err := p.cert(l.name + ".crt")
	if err != nil {
		return err
	}
	if have != nil && now.Add(renewLeft).Before(have.NotAfter) && have.CheckSignatureFrom(ca.cert) == nil && covers(have, l) {
		return nil
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: l.commonName, Organization: l.organizations},
		NotBefore:    now.Add(-time.Minute), NotAfter: now.Add(certLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{l.usage},
		BasicConstraintsValid: true,
	}
	for _, n := range l.names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return fmt.Errorf("make the certificate %s: %w", l.name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	return p.write(l.name+".crt", encodeCert(cert), 0o644)
}

func covers(cert *x509.Certificate, l leaf) bool {
	if cert.Subject.CommonName != l.commonName || !slices.Equal(cert.Subject.Organization, l.organizations) {
		return false
	}
	return !slices.ContainsFunc(l.names, func(n string) bool { return cert.VerifyHostname(n) != nil })
}

// key loads an ECDSA key, or makes it.
func (p pki) key(name string) (crypto.Signer, error) {
	data, err := os.ReadFile(p.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("make the key %s: %w", name, err)
		}
		data, err := keyutil.MarshalPrivateKeyToPEM(key)
		if err != nil {
			return nil, fmt.Errorf("encode the key %s: %w", name, err)
		}
		return key, p.write(name, data, 0o600)
	}
	if err != nil {
		return nil, err
	}
	key, err := keyutil.ParsePrivateKeyPEM(data)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", p.path(name), err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("key %s can't sign", p.path(name))
	}
	return signer, nil
}

// cert loads a certificate; nil if there is none.
func (p pki) cert(name string) (*x509.Certificate, error) {
	certs, err := certutil.CertsFromFile(p.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", p.path(name), err)
	}
	return certs[0], nil
}

// write replaces a file whole, so that a crash leaves the old or the new one.
func (p pki) write(name string, data []byte, mode fs.FileMode) error {
	return writeFile(p.path(name), data, mode)
}

func writeFile(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails, rightly, after the rename
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}
