package certificates

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Lifetimes of certificates.
const (
	Lifetime = 365 * 24 * time.Hour // the longest, and if none is asked for
	shortest = 10 * time.Minute
	backdate = 5 * time.Minute // clocks differ
	short    = 8 * time.Hour   // a shorter one isn't shortened by the backdate
)

// Authority signs the cluster's certificates. Its key signs without drawing
// anything at random if it is an ECDSA, RSA or Ed25519 key of the standard library.
type Authority struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
}

// NewSigner makes the controller that signs approved requests with ca.
func NewSigner(ca Authority) *controllers.Controller {
	return controllers.New("certificatesigningrequest-signing-controller").As(account).
		For(controllers.CSR.Group, controllers.CSR.Resource).
		Reconcile(ca.reconcile)
}

func (ca Authority) reconcile(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o, csr := requestOf(s, key)
	if csr == nil || len(csr.Status.Certificate) > 0 || failed(csr) {
		return controllers.Result{}, nil
	}
	refuses, ours := signers[csr.Spec.SignerName]
	if approved, denied := decided(csr); !ours || !approved || denied {
		return controllers.Result{}, nil
	}
	request, err := parse(csr)
	if err != nil {
		return controllers.Result{}, err
	}
	now := controllers.Now(ctx)
	next := csr.DeepCopy()
	if err := refuses(request, csr.Spec.Usages); err != nil {
		next.Status.Conditions = append(next.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
			Type: certificatesv1.CertificateFailed, Status: corev1.ConditionTrue,
			Reason: "SignerValidationFailure", Message: err.Error(), LastUpdateTime: metav1.NewTime(now.Truncate(time.Second)),
		})
	} else if next.Status.Certificate, err = ca.sign(csr, request, now); err != nil {
		return controllers.Result{}, fmt.Errorf("sign %s: %w", key, err)
	}
	i := controllers.Update(o, next)
	i.Subresource = "status"
	return controllers.Do(i), nil
}

// sign gives the certificate in PEM.
func (ca Authority) sign(csr *certificatesv1.CertificateSigningRequest, r *x509.CertificateRequest, now time.Time) ([]byte, error) {
	usage, extended, err := usagesOf(csr.Spec.Usages)
	if err != nil {
		return nil, err
	}
	if end := ca.Certificate.NotAfter; !now.Before(end) {
		return nil, fmt.Errorf("%w: the cluster's authority ended at %s: renew it", events.ErrInvalid, end.Format(time.RFC3339))
	}
	lifetime := lifetimeOf(csr.Spec.ExpirationSeconds)
	template := &x509.Certificate{
		SerialNumber: serial(csr), Subject: r.Subject,
		DNSNames: r.DNSNames, IPAddresses: r.IPAddresses, EmailAddresses: r.EmailAddresses, URIs: r.URIs,
		PublicKeyAlgorithm: r.PublicKeyAlgorithm, PublicKey: r.PublicKey,
		KeyUsage: usage, ExtKeyUsage: extended, BasicConstraintsValid: true,
		NotBefore: now.Add(-backdate), NotAfter: now.Add(lifetime - backdate),
	}
	if lifetime < short {
		template.NotAfter = now.Add(lifetime)
	}
	if template.NotAfter.After(ca.Certificate.NotAfter) {
		template.NotAfter = ca.Certificate.NotAfter
	}
	der, err := x509.CreateCertificate(nil, template, ca.Certificate, r.PublicKey, ca.Key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

func lifetimeOf(seconds *int32) time.Duration {
	if seconds == nil {
		return Lifetime
	}
	return min(Lifetime, max(shortest, time.Duration(*seconds)*time.Second))
}

// serial is a number of 127 bits that no other request gives.
func serial(csr *certificatesv1.CertificateSigningRequest) *big.Int {
	h := sha256.New()
	h.Write([]byte(csr.UID))
	h.Write(csr.Spec.Request)
	n := new(big.Int).SetBytes(h.Sum(nil)[:16])
	return n.Rsh(n, 1)
}
