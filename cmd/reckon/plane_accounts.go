package main

import (
	"slices"

	"github.com/reckon-project/reckon/controllers/localpath"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
)

// controllerUser is who a built-in controller is to the API: its service account.
// Kubernetes' roles cover all but the one that makes the default storage class.
func controllerUser(controller string) user.Info {
	account := serviceaccount.UserInfo("kube-system", controller, "")
	if controller != localpath.ClassAccount {
		return account
	}
	return &user.DefaultInfo{Name: account.GetName(), Groups: append(slices.Clone(account.GetGroups()), user.SystemPrivilegedGroup)}
}
