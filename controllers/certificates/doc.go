// Package certificates approves, signs and clears away certificate signing
// requests, and tells clients whom the API's certificate is signed by.
//
//		request ─► approved ─► signed ─────────► an hour later it is cleared away
//		   │      (a kubelet's │  (status.certificate)
//		   │      own: by us)  └─► Failed: not what the signer signs
//		   └─► nobody approves it: a day later it is cleared away
//
//	 1. A kubelet's request for its own client certificate is approved if the
//	    authorizer lets its user create certificatesigningrequests/selfnodeclient (or
//	    /nodeclient for another's). Nothing else is approved by itself.
//	 2. Signed are approved requests to the four signers of kubernetes.io/, by the
//	    cluster's authority, with the lifetime asked for within ten minutes and
//	    [Lifetime]. No certificate outlives the authority or is one itself.
//	 3. The same request at the same time gives the same certificate: its serial
//	    number comes from the request, and nothing is drawn at random.
//	 4. The ClusterTrustBundle of kubernetes.io/kube-apiserver-serving holds the
//	    authority that signs the API's certificate, and no other of that signer stays.
package certificates
