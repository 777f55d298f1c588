package credential

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	kubelet "k8s.io/kubelet/config/v1"
	protocol "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent/pull"
)

const (
	answerWithin = time.Minute
	tokenSeconds = 600
)

// Tokens asks the API for a token of a pod's service account.
type Tokens interface {
	Token(ctx context.Context, pod *v1.Pod, audience string, seconds int64) (token string, expires time.Time, err error)
}

// Providers are a node's programs. It is a pull.Providers.
type Providers struct {
	all    []*provider
	tokens Tokens
	clock  clock.PassiveClock
}

type provider struct {
	kubelet.CredentialProvider
	program string
	asking  sync.Mutex // one question at a time: the next one may be answered by then

	mu    sync.Mutex
	cache map[string]answer
}

// answer is kept until it is too old.
type answer struct {
	auth  map[string]protocol.AuthConfig
	until time.Time
}

// New makes the providers of a configuration.
func New(config []kubelet.CredentialProvider, bin string, tokens Tokens, c clock.PassiveClock) *Providers {
	out := &Providers{tokens: tokens, clock: c}
	for _, p := range config {
		out.all = append(out.all, &provider{CredentialProvider: p, program: filepath.Join(bin, p.Name), cache: map[string]answer{}})
	}
	return out
}

// Credentials implements pull.Providers.
func (p *Providers) Credentials(ctx context.Context, pod *v1.Pod, image string) ([]pull.Credential, error) {
	var out []pull.Credential
	var errs []error
	name := repository(image)
	for _, each := range p.all {
		if !slices.ContainsFunc(each.MatchImages, func(m string) bool { return pull.Matches(trim(m), name) }) {
			continue
		}
		auth, account, err := p.ask(ctx, each, pod, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, pattern := range matching(auth, name) {
			a := auth[pattern]
			out = append(out, pull.Credential{Auth: &cri.AuthConfig{Username: a.Username, Password: a.Password}, Account: account})
		}
	}
	if len(out) == 0 {
		return nil, errors.Join(errs...)
	}
	return out, nil
}

// matching gives the entries of an answer that are about an image, the longest first.
func matching(auth map[string]protocol.AuthConfig, image string) (out []string) {
	for pattern := range auth {
		if pull.Matches(trim(pattern), image) {
			out = append(out, pattern)
		}
	}
	slices.SortFunc(out, func(x, y string) int {
		if len(x) != len(y) {
			return len(y) - len(x)
		}
		return strings.Compare(x, y)
	})
	return out
}

func trim(pattern string) string {
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(pattern, "https://"), "http://"), "/")
}

// ask gives a provider's answer, from its earlier ones if it may.
func (p *Providers) ask(ctx context.Context, each *provider, pod *v1.Pod, image string) (map[string]protocol.AuthConfig, *pull.Account, error) {
	request := protocol.CredentialProviderRequest{
		TypeMeta: metav1.TypeMeta{APIVersion: each.APIVersion, Kind: "CredentialProviderRequest"}, Image: image,
	}
	var account *pull.Account
	scope := ""
	if t := each.TokenAttributes; t != nil {
		if pod.Spec.ServiceAccountName == "" {
			if *t.RequireServiceAccount {
				return nil, nil, nil // the kubelet passes such pods over, too
			}
		} else {
			token, _, err := p.tokens.Token(ctx, pod, t.ServiceAccountTokenAudience, tokenSeconds)
			if err != nil {
				return nil, nil, fmt.Errorf("get a token for credential provider %s: %w", each.Name, err)
			}
			request.ServiceAccountToken = token
			account = &pull.Account{Namespace: pod.Namespace, Name: pod.Spec.ServiceAccountName}
			scope = account.Namespace + "/" + account.Name + "\n"
			if t.CacheType == kubelet.TokenServiceAccountTokenCacheType {
				scope += string(pod.UID) + "\n"
			}
		}
	}
	if found, ok := each.cached(scope, image, p.clock.Now()); ok {
		return found, account, nil
	}
	each.asking.Lock()
	defer each.asking.Unlock()
	if found, ok := each.cached(scope, image, p.clock.Now()); ok {
		return found, account, nil
	}
	response, err := each.run(ctx, request)
	if err != nil {
		return nil, nil, fmt.Errorf("credential provider %s: %w", each.Name, err)
	}
	keep := each.DefaultCacheDuration.Duration
	if response.CacheDuration != nil {
		keep = response.CacheDuration.Duration
	}
	key, err := cacheKey(response.CacheKeyType, image)
	if err != nil {
		return nil, nil, fmt.Errorf("credential provider %s: %w", each.Name, err)
	}
	each.keep(scope+key, answer{response.Auth, p.clock.Now().Add(keep)}, p.clock.Now())
	return response.Auth, account, nil
}

func cacheKey(t protocol.PluginCacheKeyType, image string) (string, error) {
	switch t {
	case protocol.ImagePluginCacheKeyType:
		return "image " + image, nil
	case protocol.RegistryPluginCacheKeyType:
		host, _, _ := strings.Cut(image, "/")
		return "registry " + host, nil
	case protocol.GlobalPluginCacheKeyType:
		return "global", nil
	}
	return "", fmt.Errorf("its answer has the cacheKeyType %q, which isn't known", t)
}

func (p *provider) cached(scope, image string, now time.Time) (map[string]protocol.AuthConfig, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	host, _, _ := strings.Cut(image, "/")
	for _, key := range []string{"image " + image, "registry " + host, "global"} {
		if a, ok := p.cache[scope+key]; ok && now.Before(a.until) {
			return a.auth, true
		}
	}
	return nil, false
}

func (p *provider) keep(key string, a answer, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, old := range p.cache {
		if !now.Before(old.until) {
			delete(p.cache, k)
		}
	}
	if now.Before(a.until) {
		p.cache[key] = a
	}
}

// run asks the program.
func (p *provider) run(ctx context.Context, request protocol.CredentialProviderRequest) (*protocol.CredentialProviderResponse, error) {
	question, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.program, p.Args...)
	cmd.WaitDelay = time.Second
	cmd.Stdin = bytes.NewReader(question)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = os.Environ()
	for _, e := range p.Env {
		cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
	}
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	response := &protocol.CredentialProviderResponse{}
	if err := json.Unmarshal(stdout.Bytes(), response); err != nil {
		return nil, fmt.Errorf("its answer can't be read: %w", err)
	}
	if response.Kind != "CredentialProviderResponse" || response.APIVersion != p.APIVersion {
		return nil, fmt.Errorf("it answered with %s %s", response.APIVersion, response.Kind)
	}
	return response, nil
}

// repository is an image's name without tag and digest, with the registry's.
func repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndex(image, ":"); i > strings.LastIndex(image, "/") {
		image = image[:i]
	}
	host, _, slash := strings.Cut(image, "/")
	if !slash || !strings.ContainsAny(host, ".:") && host != "localhost" {
		if !slash {
			image = "library/" + image
		}
		return "docker.io/" + image
	}
	return image
}
