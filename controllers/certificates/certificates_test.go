package certificates_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/certificates"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/projections"
)

const (
	client  = certificatesv1.UsageClientAuth
	server  = certificatesv1.UsageServerAuth
	digital = certificatesv1.UsageDigitalSignature
)

// newAuthority is a CA that lives as long from now.
func newAuthority(t *testing.T, life time.Duration) certificates.Authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificates.Authority{Certificate: cert, Key: key}
}

// request is a signing request in PEM.
func request(t *testing.T, template x509.CertificateRequest) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func subject(name string, organizations ...string) x509.CertificateRequest {
	return x509.CertificateRequest{Subject: pkix.Name{CommonName: name, Organization: organizations}}
}

func csr(name, signer string, request []byte, usages ...certificatesv1.KeyUsage) *certificatesv1.CertificateSigningRequest {
	return &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       certificatesv1.CertificateSigningRequestSpec{SignerName: signer, Request: request, Usages: usages},
	}
}

func get(w *controllertest.World, name string) *certificatesv1.CertificateSigningRequest {
	c, _ := projections.Get[*certificatesv1.CertificateSigningRequest](w.Snapshot(), controllers.CSR.Key("", name))
	return c
}

// approve approves a request as a person does.
func approve(w *controllertest.World, name string) {
	w.PatchStatus(controllers.CSR.Key("", name), `{"status":{"conditions":[{"type":"Approved","status":"True","lastUpdateTime":%q}]}}`, time.Now().UTC().Format(time.RFC3339))
	w.Settle()
}

func issued(t *testing.T, data []byte) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode(data)
	if block == nil || len(rest) > 0 {
		t.Fatalf("not one certificate in PEM: %q", data)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestSigning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		ca := newAuthority(t, 10*certificates.Lifetime)
		w.Run(certificates.NewSigner(ca))
		ask := subject("alice", "dev")
		ask.DNSNames = []string{"alice.example.com"}
		w.Create(controllers.CSR, csr("alice", certificatesv1.KubeAPIServerClientSignerName, request(t, ask), client, digital))
		w.Settle()
		if c := get(w, "alice"); len(c.Status.Certificate) > 0 {
			t.Fatal("signed before it was approved")
		}
		approve(w, "alice")
		cert := issued(t, get(w, "alice").Status.Certificate)
		if err := cert.CheckSignatureFrom(ca.Certificate); err != nil {
			t.Error(err)
		}
		if cert.Subject.CommonName != "alice" || cert.Subject.Organization[0] != "dev" || cert.DNSNames[0] != "alice.example.com" {
			t.Errorf("signed for %v, %v", cert.Subject, cert.DNSNames)
		}
		if cert.IsCA || len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth || cert.KeyUsage != x509.KeyUsageDigitalSignature {
			t.Errorf("usages %v, %v; CA: %v", cert.KeyUsage, cert.ExtKeyUsage, cert.IsCA)
		}
		if got, want := time.Until(cert.NotAfter).Round(time.Second), certificates.Lifetime-5*time.Minute; got != want {
			t.Errorf("lives for %s, want %s", got, want)
		}

		// Denied, refused and of another signer.
		w.Create(controllers.CSR, csr("denied", certificatesv1.KubeAPIServerClientSignerName, request(t, ask), client))
		w.PatchStatus(controllers.CSR.Key("", "denied"), `{"status":{"conditions":[{"type":"Approved","status":"True"},{"type":"Denied","status":"True"}]}}`)
		w.Create(controllers.CSR, csr("serving", certificatesv1.KubeAPIServerClientSignerName, request(t, ask), server))
		approve(w, "serving")
		w.Create(controllers.CSR, csr("elsewhere", "example.com/signer", request(t, ask), client))
		approve(w, "elsewhere")
		for _, name := range []string{"denied", "serving", "elsewhere"} {
			if len(get(w, name).Status.Certificate) > 0 {
				t.Errorf("%s was signed", name)
			}
		}
		conditions := get(w, "serving").Status.Conditions
		if last := conditions[len(conditions)-1]; last.Type != certificatesv1.CertificateFailed || last.Reason != "SignerValidationFailure" || last.Message != "invalid usage for client certificate: server auth" {
			t.Errorf("the condition is %+v", last)
		}
	})
}

func TestLifetimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(certificates.NewSigner(newAuthority(t, 40*24*time.Hour)))
		for _, c := range []struct {
			name    string
			seconds int32
			want    time.Duration
		}{
			{"tiny", 1, 10 * time.Minute},
			{"hour", 3600, time.Hour},
			{"month", 30 * 24 * 3600, 30*24*time.Hour - 5*time.Minute},
			{"longer-than-the-authority", 60 * 24 * 3600, 40 * 24 * time.Hour},
		} {
			o := csr(c.name, "kubernetes.io/legacy-unknown", request(t, subject("x")), client)
			o.Spec.ExpirationSeconds = &c.seconds
			w.Create(controllers.CSR, o)
			approve(w, c.name)
			if got := time.Until(issued(t, get(w, c.name).Status.Certificate).NotAfter).Round(time.Second); got != c.want {
				t.Errorf("%s: lives for %s, want %s", c.name, got, c.want)
			}
		}
	})
}

func TestKubeletRequests(t *testing.T) {
	node := func(change func(*x509.CertificateRequest)) x509.CertificateRequest {
		r := subject("system:node:n1", "system:nodes")
		change(&r)
		return r
	}
	with := func(ip bool) func(*x509.CertificateRequest) {
		return func(r *x509.CertificateRequest) {
			if ip {
				r.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 1)}
			}
		}
	}
	for name, c := range map[string]struct {
		signer string
		r      x509.CertificateRequest
		usages []certificatesv1.KeyUsage
		want   string // "": signed
	}{
		"client":             {certificatesv1.KubeAPIServerClientKubeletSignerName, node(with(false)), []certificatesv1.KeyUsage{client, digital}, ""},
		"client RSA":         {certificatesv1.KubeAPIServerClientKubeletSignerName, node(with(false)), []certificatesv1.KeyUsage{client, digital, certificatesv1.UsageKeyEncipherment}, ""},
		"client address":     {certificatesv1.KubeAPIServerClientKubeletSignerName, node(with(true)), []certificatesv1.KeyUsage{client, digital}, "IP subjectAltNames are not allowed"},
		"client usages":      {certificatesv1.KubeAPIServerClientKubeletSignerName, node(with(false)), []certificatesv1.KeyUsage{client}, "usages did not match [client auth digital signature key encipherment]"},
		"no node":            {certificatesv1.KubeAPIServerClientKubeletSignerName, subject("bob", "system:nodes"), []certificatesv1.KeyUsage{client, digital}, "subject common name does not begin with system:node:"},
		"no organization":    {certificatesv1.KubeAPIServerClientKubeletSignerName, subject("system:node:n1"), []certificatesv1.KeyUsage{client, digital}, "subject organization is not system:nodes"},
		"serving":            {certificatesv1.KubeletServingSignerName, node(with(true)), []certificatesv1.KeyUsage{server, digital}, ""},
		"serving no address": {certificatesv1.KubeletServingSignerName, node(with(false)), []certificatesv1.KeyUsage{server, digital}, "DNS or IP subjectAltName is required"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := controllertest.NewWorld(t)
				defer w.Stop()
				w.Run(certificates.NewSigner(newAuthority(t, time.Hour)))
				w.Create(controllers.CSR, csr("c", c.signer, request(t, c.r), c.usages...))
				approve(w, "c")
				got := get(w, "c").Status
				last := got.Conditions[len(got.Conditions)-1]
				switch {
				case c.want == "" && len(got.Certificate) == 0:
					t.Errorf("not signed: %+v", last)
				case c.want != "" && (len(got.Certificate) > 0 || last.Message != c.want):
					t.Errorf("signed: %v, condition %+v", len(got.Certificate) > 0, last)
				}
			})
		})
	}
}

func TestApproval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		var allowed sync.Map
		allowed.Store("system:node:n1", "selfnodeclient")
		allowed.Store("system:bootstrap:abc", "nodeclient")
		w.Run(certificates.NewApprover(func(_ context.Context, r authorizationv1.SubjectAccessReviewSpec) (bool, error) {
			a := r.ResourceAttributes
			subresource, ok := allowed.Load(r.User)
			return ok && a.Group == "certificates.k8s.io" && a.Resource == "certificatesigningrequests" && a.Verb == "create" && a.Subresource == subresource, nil
		}))
		ask := func(name, user, signer string, r x509.CertificateRequest) {
			o := csr(name, signer, request(t, r), client, digital)
			o.Spec.Username = user
			w.Create(controllers.CSR, o)
		}
		kubelet := certificatesv1.KubeAPIServerClientKubeletSignerName
		ask("renewal", "system:node:n1", kubelet, subject("system:node:n1", "system:nodes"))
		ask("joining", "system:bootstrap:abc", kubelet, subject("system:node:n2", "system:nodes"))
		ask("anothers", "system:node:n1", kubelet, subject("system:node:n2", "system:nodes"))
		ask("user", "system:node:n1", certificatesv1.KubeAPIServerClientSignerName, subject("system:node:n1", "system:nodes"))
		ask("late", "system:node:n3", kubelet, subject("system:node:n3", "system:nodes"))
		w.Settle()
		message := func(name string) string {
			for _, c := range get(w, name).Status.Conditions {
				if c.Type == certificatesv1.CertificateApproved && c.Reason == "AutoApproved" {
					return c.Message
				}
			}
			return ""
		}
		for name, want := range map[string]string{
			"renewal": "Auto approving self kubelet client certificate after SubjectAccessReview.",
			"joining": "Auto approving kubelet client certificate after SubjectAccessReview.",
			"user":    "", "anothers": "", "late": "",
		} {
			if got := message(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		w.Advance(5 * time.Minute)
		allowed.Store("system:node:n3", "selfnodeclient")
		w.Advance(6 * time.Minute)
		if !strings.Contains(message("late"), "self kubelet") {
			t.Error("late: not approved after its binding came")
		}
	})
}

func TestCleaning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(certificates.NewCleaner(), certificates.NewSigner(newAuthority(t, 100*time.Hour)))
		ask := func(name string) {
			w.Create(controllers.CSR, csr(name, certificatesv1.KubeAPIServerClientSignerName, request(t, subject("x")), client))
		}
		condition := func(name, condition string) {
			w.PatchStatus(controllers.CSR.Key("", name), `{"status":{"conditions":[{"type":%q,"status":"True","lastUpdateTime":%q}]}}`, condition, time.Now().UTC().Format(time.RFC3339))
		}
		for _, name := range []string{"pending", "denied", "signed"} {
			ask(name)
		}
		short := int32(600)
		expires := csr("expires", "kubernetes.io/legacy-unknown", request(t, subject("x")), client)
		expires.Spec.ExpirationSeconds = &short
		w.Create(controllers.CSR, expires)
		w.Create(controllers.CSR, csr("unissued", "example.com/nobody", request(t, subject("x")), client))
		condition("denied", "Denied")
		for _, name := range []string{"signed", "expires", "unissued"} {
			approve(w, name)
		}
		here := func(want ...string) {
			t.Helper()
			for _, name := range []string{"pending", "denied", "signed", "expires", "unissued"} {
				is := get(w, name) != nil
				if should := strings.Contains(strings.Join(want, " "), name); is != should {
					t.Errorf("%s is there: %v, want %v", name, is, should)
				}
			}
		}
		w.Advance(9 * time.Minute)
		here("pending", "denied", "signed", "expires", "unissued")
		w.Advance(2 * time.Minute)
		here("pending", "denied", "signed", "unissued")
		w.Advance(50 * time.Minute)
		here("pending", "unissued")
		w.Advance(22 * time.Hour)
		here("pending", "unissued")
		w.Advance(2 * time.Hour)
		here()
	})
}

func TestPodRequestsAreCleared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(certificates.NewPodRequestCleaner())
		kind := controllers.Kind{Group: "certificates.k8s.io", Version: "v1", Kind: "PodCertificateRequest", Resource: "podcertificaterequests"}
		w.Create(kind, &certificatesv1.PodCertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "r"}})
		w.Advance(29 * time.Minute)
		if !w.Snapshot().Get(kind.Key("a", "r")).Exists() {
			t.Error("cleared too soon")
		}
		w.Advance(2 * time.Minute)
		if w.Snapshot().Get(kind.Key("a", "r")).Exists() {
			t.Error("not cleared")
		}
	})
}

func TestBundle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		kind := controllers.Kind{Group: "certificates.k8s.io", Version: "v1", Kind: "ClusterTrustBundle", Resource: "clustertrustbundles"}
		w.Create(kind, &certificatesv1.ClusterTrustBundle{
			ObjectMeta: metav1.ObjectMeta{Name: "kubernetes.io:kube-apiserver-serving:old"},
			Spec:       certificatesv1.ClusterTrustBundleSpec{SignerName: certificates.ServingSigner, TrustBundle: "OLD"},
		})
		w.Create(kind, &certificatesv1.ClusterTrustBundle{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Spec: certificatesv1.ClusterTrustBundleSpec{TrustBundle: "X"}})
		w.Run(certificates.NewBundle([]byte("PEM")))
		w.Settle()
		name := func() (names []string, trust string) {
			for b := range projections.List[*certificatesv1.ClusterTrustBundle](w.Snapshot(), kind.Group, kind.Resource, "") {
				names = append(names, b.Name)
				if b.Spec.SignerName == certificates.ServingSigner {
					trust = b.Spec.TrustBundle
				}
			}
			return names, trust
		}
		const want = "kubernetes.io:kube-apiserver-serving:000000000000000000000000"
		names, trust := name()
		if len(names) != 2 || !strings.HasPrefix(names[0], "kubernetes.io:kube-apiserver-serving:") || len(names[0]) != len(want) || trust != "PEM" {
			t.Fatalf("bundles %v with %q", names, trust)
		}
		w.Patch(kind.Key("", names[0]), `{"spec":{"trustBundle":"forged"}}`)
		w.Settle()
		if _, trust := name(); trust != "PEM" {
			t.Errorf("the bundle is %q", trust)
		}
		w.Delete(kind.Key("", names[0]), "")
		w.Settle()
		if _, trust := name(); trust != "PEM" {
			t.Error("the bundle wasn't put back")
		}
	})
}

// Deciding is a function of the snapshot, the key and the time, here too.
func TestSigningDrawsNothingAtRandom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		reconcile := certificates.NewSigner(newAuthority(t, time.Hour)).Reconciler()
		w.Create(controllers.CSR, csr("a", "kubernetes.io/legacy-unknown", request(t, subject("x")), client))
		approve(w, "a")
		decide := func() string {
			result, err := reconcile(controllers.WithCall(context.Background(), time.Now(), nil), w.Snapshot(), controllers.CSR.Key("", "a"))
			if err != nil {
				t.Fatal(err)
			}
			return string(result.Intents[0].Object.(*certificatesv1.CertificateSigningRequest).Status.Certificate)
		}
		if first, second := decide(), decide(); first != second || first == "" {
			t.Errorf("%q, then %q", first, second)
		}
	})
}
