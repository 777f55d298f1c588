package certificates

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// account is the service account of all controllers here that deal with requests.
const account = "certificate-controller"

// requestOf gives a request that isn't being deleted, and its object.
func requestOf(s *projections.Snapshot, key events.Key) (*events.Object, *certificatesv1.CertificateSigningRequest) {
	o := s.Get(key)
	if !o.Exists() {
		return nil, nil
	}
	csr, ok := o.Value.(*certificatesv1.CertificateSigningRequest)
	if !ok || csr.DeletionTimestamp != nil {
		return nil, nil
	}
	return o, csr
}

// parse decodes what a request wants signed, and checks that who made it has the key.
func parse(csr *certificatesv1.CertificateSigningRequest) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(csr.Spec.Request)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, fmt.Errorf("%w: %s: PEM block type must be CERTIFICATE REQUEST", events.ErrInvalid, controllers.CSR.Key("", csr.Name))
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err == nil {
		err = request.CheckSignature()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", events.ErrInvalid, controllers.CSR.Key("", csr.Name), err)
	}
	return request, nil
}

// decided tells whether a request was approved or denied.
func decided(csr *certificatesv1.CertificateSigningRequest) (approved, denied bool) {
	for _, c := range csr.Status.Conditions {
		approved = approved || c.Type == certificatesv1.CertificateApproved
		denied = denied || c.Type == certificatesv1.CertificateDenied
	}
	return approved, denied
}

func failed(csr *certificatesv1.CertificateSigningRequest) bool {
	return slices.ContainsFunc(csr.Status.Conditions, func(c certificatesv1.CertificateSigningRequestCondition) bool {
		return c.Type == certificatesv1.CertificateFailed && (c.Status == "" || c.Status == corev1.ConditionTrue)
	})
}
