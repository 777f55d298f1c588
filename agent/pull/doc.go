// Package pull brings images to a node, and decides who may use those that are there.
//
//		pod, image ──► Keyring (pull secrets, providers) ──► Puller ──► runtime
//		                                                        │
//		                                                     Records: what was pulled, and with which credentials
//
//	 1. So many pulls run at once as the limit says; pods that want the same image with
//	    the same credentials share one pull.
//	 2. An image that was pulled with a secret is only for pods that have that secret,
//	    or one that says the same; others have to pull again. What was pulled without
//	    credentials, or with the node's own, is for every pod; so is what was there before.
//	 3. Records outlive the agent: they are written before a pod learns of the image, and
//	    that it is pulled before it is. An image whose pull was given up is for nobody until
//	    it was pulled.
package pull
