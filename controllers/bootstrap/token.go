package bootstrap

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cluster-bootstrap/token/api"

	"github.com/reckon-project/reckon/events"
)

// Open gives a Secret of the log with its values; it isn't changed.
type Open func(*corev1.Secret) (*corev1.Secret, error)

const systemNamespace = "kube-system"

// tokenOf gives a bootstrap token's Secret; nil: the object is another.
func tokenOf(o *events.Object) *corev1.Secret {
	if !o.Exists() || o.Key.Namespace != systemNamespace {
		return nil
	}
	secret, ok := o.Value.(*corev1.Secret)
	if !ok || secret.Type != api.SecretTypeBootstrapToken {
		return nil
	}
	return secret
}
