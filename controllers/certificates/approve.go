package certificates

import (
	"context"
	"fmt"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Reviewer answers a SubjectAccessReview: what the cluster's authorizer says. It
// answers from memory.
type Reviewer func(ctx context.Context, review authorizationv1.SubjectAccessReviewSpec) (bool, error)

// NewApprover makes the controller that approves what kubelets ask for themselves.
func NewApprover(allowed Reviewer) *controllers.Controller {
	return controllers.New("certificatesigningrequest-approving-controller").As(account).
		For(controllers.CSR.Group, controllers.CSR.Resource).
		Reconcile(allowed.reconcile)
}

func (allowed Reviewer) reconcile(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o, csr := requestOf(s, key)
	if csr == nil || len(csr.Status.Certificate) > 0 || csr.Spec.SignerName != certificatesv1.KubeAPIServerClientKubeletSignerName {
		return controllers.Result{}, nil
	}
	if approved, denied := decided(csr); approved || denied {
		return controllers.Result{}, nil
	}
	request, err := parse(csr)
	if err != nil {
		return controllers.Result{}, err
	}
	if kubeletClient(request, csr.Spec.Usages) != nil {
		return controllers.Result{}, nil
	}
	var subresource, message string
	if csr.Spec.Username == request.Subject.CommonName {
		subresource, message = "selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview."
		ok, err := allowed.may(ctx, csr, subresource)
		if err != nil || ok {
			return approve(o, csr, message), err
		}
	}
	subresource, message = "nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."
	ok, err := allowed.may(ctx, csr, subresource)
	if err != nil || ok {
		return approve(o, csr, message), err
	}
	// A role binding may come; the longer none came, the less it is waited for.
	waited := controllers.Now(ctx).Sub(csr.CreationTimestamp.Time)
	return controllers.Result{RequeueAfter: min(10*time.Minute, max(time.Second, waited))}, nil
}

func (allowed Reviewer) may(ctx context.Context, csr *certificatesv1.CertificateSigningRequest, subresource string) (bool, error) {
	review := authorizationv1.SubjectAccessReviewSpec{
		User: csr.Spec.Username, UID: csr.Spec.UID, Groups: csr.Spec.Groups,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: controllers.CSR.Group, Version: "*", Resource: controllers.CSR.Resource, Verb: "create", Subresource: subresource,
		},
	}
	for k, v := range csr.Spec.Extra {
		if review.Extra == nil {
			review.Extra = map[string]authorizationv1.ExtraValue{}
		}
		review.Extra[k] = authorizationv1.ExtraValue(v)
	}
	ok, err := allowed(ctx, review)
	if err != nil {
		return false, fmt.Errorf("ask whether %s may create certificatesigningrequests/%s: %w", csr.Spec.Username, subresource, err)
	}
	return ok, nil
}

func approve(o *events.Object, csr *certificatesv1.CertificateSigningRequest, message string) controllers.Result {
	next := csr.DeepCopy()
	next.Status.Conditions = append(next.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "AutoApproved", Message: message,
	})
	i := controllers.Update(o, next)
	i.Subresource = "approval"
	return controllers.Do(i)
}
