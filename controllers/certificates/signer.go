package certificates

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
)

// signers say what the cluster's signers refuse to sign.
var signers = map[string]func(*x509.CertificateRequest, []certificatesv1.KeyUsage) error{
	certificatesv1.KubeAPIServerClientSignerName:        func(_ *x509.CertificateRequest, u []certificatesv1.KeyUsage) error { return clientUsages(u) },
	certificatesv1.KubeAPIServerClientKubeletSignerName: kubeletClient,
	certificatesv1.KubeletServingSignerName:             kubeletServing,
	certificatesv1beta1.LegacyUnknownSignerName:         func(*x509.CertificateRequest, []certificatesv1.KeyUsage) error { return nil },
}

// Reasons to refuse a kubelet's request.
var (
	errOrganization = errors.New("subject organization is not system:nodes")
	errCommonName   = errors.New("subject common name does not begin with system:node:")
	errNoAddress    = errors.New("DNS or IP subjectAltName is required")
)

func notAllowed(what string) error { return fmt.Errorf("%s subjectAltNames are not allowed", what) }

func kubeletClient(r *x509.CertificateRequest, usages []certificatesv1.KeyUsage) error {
	switch {
	case !slices.Equal(r.Subject.Organization, []string{"system:nodes"}):
		return errOrganization
	case len(r.DNSNames) > 0:
		return notAllowed("DNS")
	case len(r.EmailAddresses) > 0:
		return notAllowed("Email")
	case len(r.IPAddresses) > 0:
		return notAllowed("IP")
	case len(r.URIs) > 0:
		return notAllowed("URI")
	case !strings.HasPrefix(r.Subject.CommonName, "system:node:"):
		return errCommonName
	}
	return exactly(usages, certificatesv1.UsageClientAuth)
}

func kubeletServing(r *x509.CertificateRequest, usages []certificatesv1.KeyUsage) error {
	switch {
	case !slices.Equal(r.Subject.Organization, []string{"system:nodes"}):
		return errOrganization
	case len(r.DNSNames) == 0 && len(r.IPAddresses) == 0:
		return errNoAddress
	case len(r.EmailAddresses) > 0:
		return notAllowed("Email")
	case len(r.URIs) > 0:
		return notAllowed("URI")
	}
	if err := exactly(usages, certificatesv1.UsageServerAuth); err != nil {
		return err
	}
	if !strings.HasPrefix(r.Subject.CommonName, "system:node:") {
		return errCommonName
	}
	return nil
}

// exactly wants the usage, digital signature and, if the key can, key encipherment.
func exactly(usages []certificatesv1.KeyUsage, auth certificatesv1.KeyUsage) error {
	have := slices.Clone(usages)
	slices.Sort(have)
	have = slices.Compact(have)
	want := []certificatesv1.KeyUsage{auth, certificatesv1.UsageDigitalSignature}
	slices.Sort(want)
	all := append(slices.Clone(want), certificatesv1.UsageKeyEncipherment)
	slices.Sort(all)
	if slices.Equal(have, want) || slices.Equal(have, all) {
		return nil
	}
	return fmt.Errorf("usages did not match %v", all)
}

func clientUsages(usages []certificatesv1.KeyUsage) error {
	for _, u := range usages {
		switch u {
		case certificatesv1.UsageDigitalSignature, certificatesv1.UsageKeyEncipherment, certificatesv1.UsageClientAuth:
		default:
			return fmt.Errorf("invalid usage for client certificate: %s", u)
		}
	}
	if !slices.Contains(usages, certificatesv1.UsageClientAuth) {
		return fmt.Errorf("missing required usage for client certificate: %s", certificatesv1.UsageClientAuth)
	}
	return nil
}
