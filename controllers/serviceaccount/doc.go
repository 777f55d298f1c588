// Package serviceaccount gives each namespace what its pods expect: the service
// account "default", and the config map kube-root-ca.crt with the certificate
// that the API's own is signed by.
package serviceaccount
