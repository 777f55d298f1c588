package gateway

import (
	"os"
	"path/filepath"
	"time"
)

// SharedPKI are the files below Options.Dir that all gateways of a cluster must
// have in common: the authorities and the key that signs service accounts'
// tokens. Everything else there is each gateway's own.
var SharedPKI = []string{
	"pki/ca.crt", "pki/ca.key", "pki/front-proxy-ca.crt", "pki/front-proxy-ca.key", "pki/sa.key",
}

// MakeSharedPKI makes those files where they are missing; New does so too.
func MakeSharedPKI(dir string) error {
	p := pki{filepath.Join(dir, "pki")}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	_, _, err := p.authorities(time.Now())
	if err != nil {
		return err
	}
	_, err = p.key("sa.key")
	return err
}
