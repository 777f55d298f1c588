package serviceaccount

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Tokens is what is needed to fill the Secrets that hold service accounts' tokens.
type Tokens struct {
	// Sign makes the token of a service account that a Secret is to hold. It doesn't expire.
	Sign func(ctx context.Context, account *corev1.ServiceAccount, secret *corev1.Secret) (string, error)
	// Open gives a Secret of the log with its values; it isn't changed.
	Open   func(*corev1.Secret) (*corev1.Secret, error)
	RootCA []byte // PEM
}

// NewTokens makes the controller that fills Secrets of the type
// kubernetes.io/service-account-token, and deletes them when their service account
// is gone. It acts as the controller manager itself, as on Kubernetes.
func NewTokens(t Tokens) *controllers.Controller {
	return controllers.New("tokens-controller").As("system:kube-controller-manager").
		Watches("", "secrets", secretChanged).
		Watches("", "serviceaccounts", accountChanged).
		Reconcile(t.reconcile)
}

// secretChanged maps a token's Secret to itself, and one that went to the service
// account that may name it.
func secretChanged(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if tokenOf(c.New) != nil {
		add(c.New.Key)
		return
	}
	if was := tokenOf(c.Old); was != nil {
		add(controllers.ServiceAcct.Key(was.Namespace, was.Annotations[corev1.ServiceAccountNameKey]))
	}
}

// accountChanged maps a service account that went, or was made anew, to its tokens.
func accountChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.Old == nil || c.New != nil && c.New.Meta().GetUID() == c.Old.Meta().GetUID() {
		return
	}
	for o := range s.List("", "secrets", c.Old.Key.Namespace) {
		if secret := tokenOf(o); secret != nil && secret.Annotations[corev1.ServiceAccountNameKey] == c.Old.Key.Name {
			add(o.Key)
		}
	}
}

// tokenOf gives a Secret that holds a token, or is to; nil: the object is another.
func tokenOf(o *events.Object) *corev1.Secret {
	if !o.Exists() {
		return nil
	}
	secret, ok := o.Value.(*corev1.Secret)
	if !ok || secret.Type != corev1.SecretTypeServiceAccountToken {
		return nil
	}
	return secret
}

func (t Tokens) reconcile(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if key.Resource == controllers.ServiceAcct.Resource {
		return controllers.Do(withoutLost(s, o)...), nil
	}
	secret := tokenOf(o)
	if secret == nil || secret.DeletionTimestamp != nil {
		return controllers.Result{}, nil
	}
	account := accountOf(s, secret)
	if account == nil {
		return controllers.Do(controllers.Delete(o)), nil
	}
	opened, err := t.Open(secret)
	if err != nil {
		return controllers.Result{}, fmt.Errorf("open %s: %w", key, err)
	}
	next := opened.DeepCopy()
	if next.Data == nil {
		next.Data = map[string][]byte{}
	}
	if len(t.RootCA) > 0 {
		next.Data[corev1.ServiceAccountRootCAKey] = t.RootCA
	}
	if len(next.Data[corev1.ServiceAccountNamespaceKey]) == 0 {
		next.Data[corev1.ServiceAccountNamespaceKey] = []byte(key.Namespace)
	}
	if len(next.Data[corev1.ServiceAccountTokenKey]) == 0 {
		token, err := t.Sign(ctx, account, secret)
		if err != nil {
			return controllers.Result{}, fmt.Errorf("make the token of %s: %w", key, err)
		}
		next.Data[corev1.ServiceAccountTokenKey] = []byte(token)
	}
	if len(next.Data) == len(opened.Data) && bytes.Equal(next.Data[corev1.ServiceAccountRootCAKey], opened.Data[corev1.ServiceAccountRootCAKey]) &&
		len(opened.Data[corev1.ServiceAccountNamespaceKey]) > 0 && len(opened.Data[corev1.ServiceAccountTokenKey]) > 0 {
		return controllers.Result{}, nil
	}
	next.Annotations[corev1.ServiceAccountUIDKey] = string(account.UID)
	return controllers.Do(controllers.Update(o, next)), nil
}

// accountOf is the service account that a Secret's annotations name, nil if there
// is none or another of that name.
func accountOf(s *projections.Snapshot, secret *corev1.Secret) *corev1.ServiceAccount {
	account, ok := projections.Get[*corev1.ServiceAccount](s, controllers.ServiceAcct.Key(secret.Namespace, secret.Annotations[corev1.ServiceAccountNameKey]))
	if uid := secret.Annotations[corev1.ServiceAccountUIDKey]; !ok || uid != "" && uid != string(account.UID) {
		return nil
	}
	return account
}

// withoutLost takes Secrets that aren't there from a service account's list.
func withoutLost(s *projections.Snapshot, o *events.Object) []controllers.Intent {
	if !o.Exists() {
		return nil
	}
	account, ok := o.Value.(*corev1.ServiceAccount)
	if !ok || account.DeletionTimestamp != nil {
		return nil
	}
	next := account.DeepCopy()
	next.Secrets = slices.DeleteFunc(next.Secrets, func(r corev1.ObjectReference) bool {
		return !s.Get(controllers.Secret.Key(account.Namespace, r.Name)).Exists()
	})
	if len(next.Secrets) == len(account.Secrets) {
		return nil
	}
	return []controllers.Intent{controllers.Update(o, next)}
}
