package certificates

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// How long requests stay.
const (
	keptDecided = time.Hour // signed, denied or failed
	keptPending = 24 * time.Hour
	keptOfPod   = 30 * time.Minute
)

// NewCleaner makes the controller that clears requests away.
func NewCleaner() *controllers.Controller {
	return controllers.New("certificatesigningrequest-cleaner-controller").As(account).
		For(controllers.CSR.Group, controllers.CSR.Resource).
		Reconcile(clean)
}

func clean(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o, csr := requestOf(s, key)
	if csr == nil {
		return controllers.Result{}, nil
	}
	return deleteAt(ctx, o, endOf(csr)), nil
}

// deleteAt deletes an object when its time has come; zero: never.
func deleteAt(ctx context.Context, o *events.Object, end time.Time) controllers.Result {
	if end.IsZero() {
		return controllers.Result{}
	}
	if left := end.Sub(controllers.Now(ctx)); left >= 0 {
		return controllers.Result{RequeueAfter: left + time.Second}
	}
	return controllers.Do(controllers.Delete(o))
}

// endOf is when a request has served its time.
func endOf(csr *certificatesv1.CertificateSigningRequest) time.Time {
	if len(csr.Status.Conditions) == 0 {
		return csr.CreationTimestamp.Add(keptPending)
	}
	var end time.Time
	until := func(t time.Time) {
		if end.IsZero() || t.Before(end) {
			end = t
		}
	}
	for _, c := range csr.Status.Conditions {
		if c.Type == certificatesv1.CertificateApproved && len(csr.Status.Certificate) > 0 {
			if t := expiry(csr.Status.Certificate); !t.IsZero() {
				until(t)
			}
		}
		at := c.LastUpdateTime.Time
		switch {
		case at.IsZero():
		case c.Type == certificatesv1.CertificateApproved && len(csr.Status.Certificate) == 0:
			until(at.Add(keptPending))
		case c.Type == certificatesv1.CertificateApproved, c.Type == certificatesv1.CertificateDenied, c.Type == certificatesv1.CertificateFailed:
			until(at.Add(keptDecided))
		}
	}
	return end
}

// expiry is the end of the first certificate in PEM, zero if there is none.
func expiry(data []byte) time.Time {
	block, _ := pem.Decode(data)
	if block == nil {
		return time.Time{}
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}
	}
	return cert.NotAfter
}

// NewPodRequestCleaner makes the controller that clears PodCertificateRequests
// away: a kubelet makes new ones when it needs them.
func NewPodRequestCleaner() *controllers.Controller {
	return controllers.New("podcertificaterequest-cleaner-controller").As("podcertificaterequestcleaner").
		For(controllers.CSR.Group, "podcertificaterequests").
		Reconcile(func(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
			o := s.Get(key)
			if !o.Exists() || o.Meta().GetDeletionTimestamp() != nil {
				return controllers.Result{}, nil
			}
			return deleteAt(ctx, o, o.Meta().GetCreationTimestamp().Add(keptOfPod)), nil
		})
}
