// Package credential asks programs on the node for credentials of registries, by
// the kubelet's protocol (credentialprovider.kubelet.k8s.io/v1) and with its
// configuration file (CredentialProviderConfig of kubelet.config.k8s.io).
//
//		image ──► providers whose matchImages match ──► program: request on stdin, answer on stdout ──► credentials
//
//	 1. A program runs at most once at a time for the same question, and its answer is
//	    kept as long as it says, for the images that it says.
//	 2. A program that fails or takes longer than a minute gives nothing, and the next
//	    one is asked; only if all fail is that an error.
//	 3. A provider that wants a service account's token gets one for the pod's account,
//	    and what it gives is only for that account.
package credential
