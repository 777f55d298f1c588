package gateway

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
	netutils "k8s.io/utils/net"
)

func encodeCert(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certutil.CertificateBlockType, Bytes: c.Raw})
}

// makePKI makes or loads everything that the server needs to prove who it and
// its administrator are:
//
//	ca ─┬─ apiserver (serving)          front-proxy-ca ── front-proxy-client (aggregation)
//	    └─ admin (client)               sa (service account tokens: a key pair)
func makePKI(dir string, names []string, now time.Time) (pki, error) {
	p := pki{dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return p, err
	}
	ca, front, err := p.authorities(now)
	if err != nil {
		return p, err
	}
	for _, c := range []struct {
		by authority
		leaf
	}{
		{ca, leaf{name: "apiserver", commonName: "kube-apiserver", names: names, usage: x509.ExtKeyUsageServerAuth}},
		{ca, leaf{name: "admin", commonName: "admin", organizations: []string{"system:masters"}, usage: x509.ExtKeyUsageClientAuth}},
		{front, leaf{name: "front-proxy-client", commonName: "front-proxy-client", usage: x509.ExtKeyUsageClientAuth}},
	} {
		if err := p.issue(c.by, c.leaf, now); err != nil {
			return p, err
		}
	}
	sa, err := p.key("sa.key")
	if err != nil {
		return p, err
	}
	der, err := x509.MarshalPKIXPublicKey(sa.Public())
	if err != nil {
		return p, err
	}
	return p, p.write("sa.pub", pem.EncodeToMemory(&pem.Block{Type: keyutil.PublicKeyBlockType, Bytes: der}), 0o644)
}

func (p pki) authorities(now time.Time) (ca, front authority, err error) {
	if ca, err = p.authority("ca", "reckon", now); err != nil {
		return ca, front, err
	}
	front, err = p.authority("front-proxy-ca", "reckon-front-proxy", now)
	return ca, front, err
}

// servingNames are the names and addresses of the serving certificate.
func servingNames(serviceCIDR string, listen, advertised net.IP, extra []string) ([]string, error) {
	_, services, err := net.ParseCIDR(serviceCIDR)
	if err != nil {
		return nil, fmt.Errorf("gateway: service range: %w", err)
	}
	service, err := netutils.GetIndexedIP(services, 1)
	if err != nil {
		return nil, fmt.Errorf("gateway: service range %s: %w", serviceCIDR, err)
	}
	names := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		"localhost", "127.0.0.1", "::1", service.String(), advertised.String()}
	if !listen.IsUnspecified() {
		names = append(names, listen.String())
	}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("gateway: list this host's addresses: %w", err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			names = append(names, n.IP.String())
		}
	}
	return append(names, extra...), nil
}

// writeKubeconfig writes the administrator's kubeconfig, with all it needs inside.
func (p pki) writeKubeconfig(path, server string) error {
	ca, err1 := os.ReadFile(p.path("ca.crt"))
	cert, err2 := os.ReadFile(p.path("admin.crt"))
	key, err3 := os.ReadFile(p.path("admin.key"))
	if err := errors.Join(err1, err2, err3); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	c := clientcmdapi.NewConfig()
	c.Clusters["reckon"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	c.AuthInfos["admin"] = &clientcmdapi.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
	c.Contexts["reckon"] = &clientcmdapi.Context{Cluster: "reckon", AuthInfo: "admin"}
	c.CurrentContext = "reckon"
	data, err := clientcmd.Write(*c)
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	return writeFile(path, data, 0o600)
}
