package gateway

import (
	"context"
	"fmt"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/serviceaccount"
)

// LegacyTokens makes the tokens that Secrets of service accounts hold: signed as
// all of them are, and valid until the Secret or the service account goes.
func (s *Server) LegacyTokens() (func(context.Context, *corev1.ServiceAccount, *corev1.Secret) (string, error), error) {
	key, err := pki{filepath.Join(s.options.Dir, "pki")}.key("sa.key")
	if err != nil {
		return nil, err
	}
	generator, err := serviceaccount.JWTTokenGenerator(serviceaccount.LegacyIssuer, key)
	if err != nil {
		return nil, fmt.Errorf("sign service accounts' tokens: %w", err)
	}
	return func(ctx context.Context, account *corev1.ServiceAccount, secret *corev1.Secret) (string, error) {
		claims, private := serviceaccount.LegacyClaims(*account, *secret)
		return generator.GenerateToken(ctx, claims, private)
	}, nil
}
