package bootstrap

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/cluster-bootstrap/token/api"
	"k8s.io/cluster-bootstrap/token/jws"
	"k8s.io/cluster-bootstrap/util/secrets"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

var clusterInfo = controllers.ConfigMap.Key("kube-public", api.ConfigMapClusterInfo)

// NewSigner makes the controller that signs cluster-info.
func NewSigner(open Open) *controllers.Controller {
	return controllers.New("bootstrap-signer").
		Watches("", "configmaps", func(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
			if controllers.KeyOf(c) == clusterInfo {
				add(clusterInfo)
			}
		}).
		Watches("", "secrets", func(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
			if tokenOf(c.Old) != nil || tokenOf(c.New) != nil {
				add(clusterInfo)
			}
		}).
		Reconcile(func(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
			return sign(s, key, open, controllers.Now(ctx))
		})
}

func sign(s *projections.Snapshot, key events.Key, open Open, now time.Time) (controllers.Result, error) {
	o := s.Get(key)
	if !o.Exists() {
		return controllers.Result{}, nil
	}
	m, ok := o.Value.(*corev1.ConfigMap)
	if !ok || m.DeletionTimestamp != nil {
		return controllers.Result{}, nil
	}
	content, ok := m.Data[api.KubeConfigKey]
	if !ok {
		return controllers.Result{}, nil
	}
	data := maps.Clone(m.Data)
	maps.DeleteFunc(data, func(k, _ string) bool { return strings.HasPrefix(k, api.JWSSignatureKeyPrefix) })
	for o := range s.List("", "secrets", systemNamespace) {
		sealed := tokenOf(o)
		if sealed == nil {
			continue
		}
		token, err := open(sealed)
		if err != nil {
			return controllers.Result{}, fmt.Errorf("open %s: %w", o.Key, err)
		}
		id, secret, ok := signing(token, now)
		if !ok {
			continue
		}
		signature, err := jws.ComputeDetachedSignature(content, id, secret)
		if err != nil {
			return controllers.Result{}, fmt.Errorf("sign with bootstrap token %s: %w", id, err)
		}
		data[api.JWSSignatureKeyPrefix+id] = signature
	}
	if maps.Equal(data, m.Data) {
		return controllers.Result{}, nil
	}
	next := m.DeepCopy()
	next.Data = data
	return controllers.Do(controllers.Update(o, next)), nil
}

// signing gives a token that is complete, valid and may sign.
func signing(token *corev1.Secret, now time.Time) (id, secret string, ok bool) {
	name, named := secrets.ParseName(token.Name)
	id, secret = string(token.Data[api.BootstrapTokenIDKey]), string(token.Data[api.BootstrapTokenSecretKey])
	ok = named && id == name && secret != "" && !secrets.HasExpired(token, now) && string(token.Data[api.BootstrapTokenUsageSigningKey]) == "true"
	return id, secret, ok
}
