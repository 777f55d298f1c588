package builtin

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/bootstrap"
	"github.com/reckon-project/reckon/controllers/serviceaccount"
)

// secrets are the controllers that look into Secrets. Where nothing is sealed, as
// in a simulation, they are taken as they are.
func (s Settings) secrets() []*controllers.Controller {
	open := s.Open
	if open == nil {
		open = func(secret *corev1.Secret) (*corev1.Secret, error) { return secret, nil }
	}
	all := []*controllers.Controller{
		serviceaccount.NewTokenCleaner(),
		bootstrap.NewSigner(open),
		bootstrap.NewTokenCleaner(open),
	}
	if s.Token != nil {
		all = append(all, serviceaccount.NewTokens(serviceaccount.Tokens{Sign: s.Token, Open: open, RootCA: s.RootCA}))
	}
	return all
}
