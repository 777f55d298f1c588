package pull

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"path"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const hub = "index.docker.io"

// Credential is a way to be let in, with what it comes from.
type Credential struct {
	Auth *cri.AuthConfig
	// Secret is the pod's that it comes from; nil: it is the node's, for all pods.
	Secret *Secret
	// Account is the service account that it was given for; nil: none.
	Account *Account
}

// Secret tells a secret, and what it said, from others.
type Secret struct{ Namespace, Name, UID, Hash string }

// Account is a service account.
type Account struct{ Namespace, Name, UID string }

// Keyring gives the credentials of a pod's pull secrets for an image, those for
// the longest match first. A secret that can't be read opens nothing.
func Keyring(secrets []*v1.Secret, image string) []Credential {
	type entry struct {
		pattern string
		c       Credential
	}
	var all []entry
	for _, s := range secrets {
		for server, auth := range auths(s) {
			pattern := pattern(server)
			if !Matches(pattern, image) && !(pattern == hub && ofHub(image)) {
				continue
			}
			ref := &Secret{Namespace: s.Namespace, Name: s.Name, UID: string(s.UID), Hash: hash(auth)}
			all = append(all, entry{pattern, Credential{Auth: auth, Secret: ref}})
		}
	}
	slices.SortStableFunc(all, func(x, y entry) int {
		return cmp.Or(cmp.Compare(len(y.pattern), len(x.pattern)), cmp.Compare(x.pattern, y.pattern))
	})
	var out []Credential
	for _, e := range all {
		out = append(out, e.c)
	}
	return out
}

func auths(s *v1.Secret) map[string]*cri.AuthConfig {
	var config struct {
		Auths map[string]struct{ Username, Password, Auth, IdentityToken string }
	}
	data := s.Data[v1.DockerConfigJsonKey]
	if old, ok := s.Data[v1.DockerConfigKey]; ok {
		data = []byte(`{"auths":` + string(old) + `}`)
	}
	if json.Unmarshal(data, &config) != nil {
		return nil
	}
	out := map[string]*cri.AuthConfig{}
	for server, a := range config.Auths {
		if plain, err := base64.StdEncoding.DecodeString(a.Auth); err == nil && a.Username == "" {
			a.Username, a.Password, _ = strings.Cut(string(plain), ":")
		}
		out[server] = &cri.AuthConfig{Username: a.Username, Password: a.Password, IdentityToken: a.IdentityToken}
	}
	return out
}

// pattern is what a server's entry in a docker configuration matches.
func pattern(server string) string {
	server = strings.TrimPrefix(strings.TrimPrefix(server, "https://"), "http://")
	for _, version := range []string{"/v1", "/v2"} {
		if host, rest, ok := strings.Cut(server, version); ok && (rest == "" || rest == "/") {
			server = host
		}
	}
	server = strings.TrimSuffix(server, "/")
	if server == "docker.io" {
		return hub
	}
	return server
}

// ofHub reports whether an image without a registry's name is meant.
func ofHub(image string) bool {
	host, _, slash := strings.Cut(image, "/")
	return !slash || host == "docker.io" || host == hub || !strings.ContainsAny(host, ".:") && host != "localhost"
}

// Matches reports whether a pattern (host, port and the beginning of a path; the
// parts of the host may hold *) is about an image.
func Matches(pattern, image string) bool {
	host, prefix, _ := strings.Cut(pattern, "/")
	server, rest, ok := strings.Cut(image, "/")
	if !ok {
		server, rest = "", image
	}
	name, port, _ := strings.Cut(host, ":")
	have, at, _ := strings.Cut(server, ":")
	want, parts := strings.Split(name, "."), strings.Split(have, ".")
	if port != at || len(want) != len(parts) || !strings.HasPrefix(rest, prefix) {
		return false
	}
	for i := range want {
		if ok, err := path.Match(want[i], parts[i]); err != nil || !ok {
			return false
		}
	}
	return true
}
