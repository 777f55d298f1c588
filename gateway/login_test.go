package gateway_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	jose "gopkg.in/go-jose/go-jose.v2"
	"gopkg.in/go-jose/go-jose.v2/jwt"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	bootstrap "k8s.io/cluster-bootstrap/token/api"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway"
	"github.com/reckon-project/reckon/gateway/gatewaytest"
)

// provider is an OpenID Connect provider: its documents, and the tokens it signs.
type provider struct {
	url    string
	ca     []byte
	signer jose.Signer
}

func startProvider(t *testing.T) *provider {
	t.Helper()
	key := must(rsa.GenerateKey(rand.Reader, 2048))(t)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "one"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	s := httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	answer := func(path string, v any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(v); err != nil {
				t.Errorf("provider: %v", err)
			}
		})
	}
	answer("/.well-known/openid-configuration", map[string]any{
		"issuer": s.URL, "jwks_uri": s.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"},
	})
	answer("/keys", jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "one", Algorithm: "RS256", Use: "sig"}}})
	return &provider{url: s.URL, signer: signer, ca: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})}
}

func (p *provider) token(t *testing.T, audience string, expires time.Time) string {
	t.Helper()
	claims := map[string]any{
		"iss": p.url, "aud": audience, "sub": "1234", "email": "ada@example.com", "email_verified": true, "groups": []string{"engineers"},
		"iat": time.Now().Add(-2 * time.Hour).Unix(), "exp": expires.Unix(),
	}
	return must(jwt.Signed(p.signer).Claims(claims).CompactSerialize())(t)
}

// bearer is the admin's way in with a token in place of the certificate.
func bearer(c *gatewaytest.Cluster, token string) *rest.Config {
	config := rest.AnonymousClientConfig(c.Admin)
	config.BearerToken = token
	return config
}

func whoami(t *testing.T, config *rest.Config) (authenticationv1.UserInfo, error) {
	t.Helper()
	review, err := client(t, config).AuthenticationV1().SelfSubjectReviews().Create(t.Context(), selfReview(), metav1.CreateOptions{})
	if err != nil {
		return authenticationv1.UserInfo{}, err
	}
	return review.Status.UserInfo, nil
}

// TestLogin: who comes with what proof is whom.
func TestLogin(t *testing.T) {
	p := startProvider(t)
	ca := filepath.Join(t.TempDir(), "issuer.crt")
	if err := os.WriteFile(ca, p.ca, 0o600); err != nil {
		t.Fatal(err)
	}
	c := gatewaytest.Start(t, func(o *gateway.Options) {
		o.Flags = []string{
			"--oidc-issuer-url=" + p.url, "--oidc-ca-file=" + ca, "--oidc-client-id=reckon",
			"--oidc-username-claim=email", "--oidc-username-prefix=sso:", "--oidc-groups-claim=groups", "--oidc-groups-prefix=sso:",
		}
	})
	admin := client(t, c.Admin)
	for name, run := range map[string]func(*testing.T){
		"OpenID Connect":  func(t *testing.T) { testOIDC(t, c, admin, p) },
		"token review":    func(t *testing.T) { testTokenReview(t, c, admin) },
		"bootstrap token": func(t *testing.T) { testBootstrapToken(t, c, admin) },
		"impersonation":   func(t *testing.T) { testImpersonation(t, c, admin) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // a token that was good is believed for ten seconds
			run(t)
		})
	}
}

func testOIDC(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset, p *provider) {
	ada := bearer(c, p.token(t, "reckon", time.Now().Add(time.Hour)))
	var who authenticationv1.UserInfo
	eventually(t, "the provider's keys are read", func(context.Context) (ok bool, err error) {
		who, err = whoami(t, ada)
		return err == nil, nil
	})
	if who.Username != "sso:ada@example.com" || !slices.Contains(who.Groups, "sso:engineers") {
		t.Errorf("the id token is %+v's", who)
	}
	for what, token := range map[string]string{
		"for somebody else": p.token(t, "other", time.Now().Add(time.Hour)),
		"expired":           p.token(t, "reckon", time.Now().Add(-time.Hour)),
		"signed by another": startProvider(t).token(t, "reckon", time.Now().Add(time.Hour)),
	} {
		if who, err := whoami(t, bearer(c, token)); !apierrors.IsUnauthorized(err) {
			t.Errorf("a token %s was %+v's: %v", what, who, err)
		}
	}
	maps := client(t, ada).CoreV1().ConfigMaps("default")
	made := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "by-ada"}}
	if _, err := maps.Create(t.Context(), made, metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("without a role: %v", err)
	}
	must(admin.RbacV1().Roles("default").Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "engineers"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"create"}}},
	}, metav1.CreateOptions{}))(t)
	must(admin.RbacV1().RoleBindings("default").Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "engineers"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "engineers"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "sso:engineers"}},
	}, metav1.CreateOptions{}))(t)
	eventually(t, "the group's role lets ada write", func(ctx context.Context) (bool, error) {
		_, err := maps.Create(ctx, made, metav1.CreateOptions{})
		return err == nil, nil
	})
	if e := must(c.Bus.Log().Last(t.Context(), events.Key{Resource: "configmaps", Namespace: "default", Name: "by-ada"}.Subject()))(t); e.Actor != "sso:ada@example.com" {
		t.Errorf("the event's actor is %q", e.Actor)
	}
}

func testTokenReview(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset) {
	accounts := admin.CoreV1().ServiceAccounts("default")
	must(accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{}))(t)
	token := must(accounts.CreateToken(t.Context(), "robot", tokenRequest(3600), metav1.CreateOptions{}))(t).Status.Token
	review := func(token string) authenticationv1.TokenReviewStatus {
		return must(admin.AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{}))(t).Status
	}
	status := review(token)
	if !status.Authenticated || status.User.Username != "system:serviceaccount:default:robot" || !slices.Contains(status.User.Groups, "system:serviceaccounts:default") {
		t.Errorf("the review says %+v", status)
	}
	if status := review(token + "x"); status.Authenticated {
		t.Errorf("of a damaged token the review says %+v", status)
	}
	// A token dies with its account.
	if err := accounts.Delete(t.Context(), "robot", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the token of a deleted account is refused", func(context.Context) (bool, error) { return !review(token).Authenticated, nil })
}

func testBootstrapToken(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset) {
	const id, secret = "abcdef", "0123456789abcdef"
	secrets := admin.CoreV1().Secrets(metav1.NamespaceSystem)
	must(secrets.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: bootstrap.BootstrapTokenSecretPrefix + id}, Type: bootstrap.SecretTypeBootstrapToken,
		StringData: map[string]string{
			bootstrap.BootstrapTokenIDKey: id, bootstrap.BootstrapTokenSecretKey: secret, bootstrap.BootstrapTokenUsageAuthentication: "true",
			bootstrap.BootstrapTokenExtraGroupsKey: "system:bootstrappers:racks",
		},
	}, metav1.CreateOptions{}))(t)
	var who authenticationv1.UserInfo
	eventually(t, "the token is known", func(context.Context) (ok bool, err error) {
		who, err = whoami(t, bearer(c, id+"."+secret))
		return err == nil, nil
	})
	if who.Username != "system:bootstrap:"+id || !slices.Contains(who.Groups, "system:bootstrappers") || !slices.Contains(who.Groups, "system:bootstrappers:racks") {
		t.Errorf("the token is %+v's", who)
	}
	if _, err := whoami(t, bearer(c, id+".fedcba9876543210")); !apierrors.IsUnauthorized(err) {
		t.Errorf("a wrong secret: %v", err)
	}
	if err := secrets.Delete(t.Context(), bootstrap.BootstrapTokenSecretPrefix+id, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a deleted token is refused", func(context.Context) (bool, error) {
		_, err := whoami(t, bearer(c, id+"."+secret))
		return apierrors.IsUnauthorized(err), nil
	})
}

func testImpersonation(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset) {
	as := func(user string, groups ...string) *rest.Config {
		config := rest.CopyConfig(c.Admin)
		config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
		return config
	}
	who, err := whoami(t, as("grace", "auditors"))
	if err != nil || who.Username != "grace" || !slices.Contains(who.Groups, "auditors") {
		t.Errorf("as grace the admin is %+v: %v", who, err)
	}
	if _, err := client(t, as("grace")).CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("grace lists secrets: %v", err)
	}
	maps := client(t, as("grace", "system:masters")).CoreV1().ConfigMaps("default")
	must(maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "by-grace"}}, metav1.CreateOptions{}))(t)
	if e := must(c.Bus.Log().Last(t.Context(), events.Key{Resource: "configmaps", Namespace: "default", Name: "by-grace"}.Subject()))(t); e.Actor != "grace" {
		t.Errorf("the event's actor is %q", e.Actor)
	}
	// Who has no right to be somebody else isn't.
	must(admin.CoreV1().ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "poor"}}, metav1.CreateOptions{}))(t)
	token := must(admin.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "poor", tokenRequest(3600), metav1.CreateOptions{}))(t).Status.Token
	poor := bearer(c, token)
	poor.Impersonate = rest.ImpersonationConfig{UserName: "admin", Groups: []string{"system:masters"}}
	if who, err := whoami(t, poor); !apierrors.IsForbidden(err) {
		t.Errorf("a poor account became %+v: %v", who, err)
	}
}
