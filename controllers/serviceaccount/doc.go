// Package serviceaccount gives each namespace what its pods expect, and looks after
// tokens that don't expire.
//
//  1. Each namespace has the service account "default", and the config map
//     kube-root-ca.crt with the certificate that the API's own is signed by.
//  2. A Secret of the type kubernetes.io/service-account-token gets its token,
//     ca.crt and namespace. It goes when the service account goes that its
//     annotations name, or if there is none of that name and uid.
//  3. A generated token that was unused for a year is marked invalid, and deleted a
//     year later. The API notes uses, and refuses one that is marked.
//
// Values of Secrets are sealed in the log: they are opened to be looked at, and
// written through the API, which seals them again.
package serviceaccount
