// Package builtin lists the controllers that every cluster runs.
package builtin

import (
	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/deployment"
	"github.com/reckon-project/reckon/controllers/replicaset"
	"github.com/reckon-project/reckon/controllers/serviceaccount"
)

// Settings are what the cluster's controllers have to be told.
type Settings struct {
	RootCA []byte // PEM: the authority that signs the API server's certificate
}

// Controllers makes all built-in controllers.
func Controllers(s Settings) []*controllers.Controller {
	return []*controllers.Controller{
		deployment.New(),
		replicaset.New(),
		serviceaccount.New(),
		serviceaccount.NewRootCA(s.RootCA),
	}
}
