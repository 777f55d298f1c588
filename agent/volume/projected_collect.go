package volume

import (
	"context"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/events"
)

const defaultTokenSeconds = 3600

func (m *Manager) addProjected(ctx context.Context, f files, pod *v1.Pod, volume string, p *v1.ProjectedVolumeSource) error {
	for _, s := range p.Sources {
		var err error
		switch {
		case s.ConfigMap != nil:
			err = m.addConfigMap(f, pod, s.ConfigMap.Name, s.ConfigMap.Items, p.DefaultMode, s.ConfigMap.Optional)
		case s.Secret != nil:
			err = m.addSecret(f, pod, s.Secret.Name, s.Secret.Items, p.DefaultMode, s.Secret.Optional)
		case s.DownwardAPI != nil:
			err = m.addDownward(f, pod, s.DownwardAPI.Items, p.DefaultMode)
		case s.ServiceAccountToken != nil:
			err = m.addToken(ctx, f, pod, volume, s.ServiceAccountToken, p.DefaultMode)
		case s.ClusterTrustBundle != nil:
			err = m.addTrust(f, pod, s.ClusterTrustBundle, p.DefaultMode)
		case s.PodCertificate != nil:
			err = failf(events.ErrInvalid, "podCertificate sources of projected volumes aren't supported by this node")
		default:
			err = failf(events.ErrInvalid, "this node doesn't know this source of a projected volume")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

type tokenKey struct{ uid, volume, path string }

type issued struct {
	token   string
	at      time.Time
	expires time.Time
}

func (m *Manager) addToken(ctx context.Context, f files, pod *v1.Pod, volume string, s *v1.ServiceAccountTokenProjection, mode *int32) error {
	path, err := cleanPath(s.Path)
	if err != nil {
		return err
	}
	token, err := m.token(ctx, tokenKey{string(pod.UID), volume, path}, pod, s)
	if err != nil {
		return err
	}
	f.addOwned(path, []byte(token.token), pod, mode)
	return nil
}

// token gives a token that has a fifth of its life left, and asks for a new one otherwise.
func (m *Manager) token(ctx context.Context, key tokenKey, pod *v1.Pod, s *v1.ServiceAccountTokenProjection) (issued, error) {
	now := m.Clock.Now()
	m.mu.Lock()
	have, ok := m.tokens[key]
	m.mu.Unlock()
	if ok && now.Before(have.at.Add(have.expires.Sub(have.at)*4/5)) && now.Sub(have.at) < 24*time.Hour {
		return have, nil
	}
	seconds := int64(defaultTokenSeconds)
	if s.ExpirationSeconds != nil {
		seconds = *s.ExpirationSeconds
	}
	token, expires, err := m.Tokens.Token(ctx, pod, s.Audience, seconds)
	if err != nil {
		if ok && now.Before(have.expires) {
			return have, nil
		}
		return issued{}, fmt.Errorf("failed to fetch token: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tokens == nil {
		m.tokens = map[tokenKey]issued{}
	}
	m.tokens[key] = issued{token, now, expires}
	return m.tokens[key], nil
}

func (m *Manager) forget(uid string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.tokens {
		if key.uid == uid {
			delete(m.tokens, key)
		}
	}
}

// addOwned puts in a file that only who the pod runs as, or its group, may read,
// where all of its containers agree on that.
func (f files) addOwned(path string, data []byte, pod *v1.Pod, mode *int32) {
	user, perm := onlyUser(pod), or(mode)
	if user != nil || fsGroup(pod) != nil {
		perm = 0o600 // the group is let in when the file is written
	}
	f[path] = file{data, perm, user}
}

// onlyUser is the user that all of the pod's containers say they run as, nil if there is none.
func onlyUser(pod *v1.Pod) *int64 {
	var only *int64
	for _, all := range [][]v1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range all {
			var user *int64
			if sc := pod.Spec.SecurityContext; sc != nil {
				user = sc.RunAsUser
			}
			if sc := all[i].SecurityContext; sc != nil && sc.RunAsUser != nil {
				user = sc.RunAsUser
			}
			if user == nil || only != nil && *only != *user {
				return nil
			}
			only = user
		}
	}
	return only
}
