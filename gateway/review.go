package gateway

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// Review answers a SubjectAccessReview about a resource as the API does, without a request.
func (s *Server) Review(ctx context.Context, review authorizationv1.SubjectAccessReviewSpec) (bool, error) {
	who := &user.DefaultInfo{Name: review.User, UID: review.UID, Groups: review.Groups}
	for k, v := range review.Extra {
		if who.Extra == nil {
			who.Extra = map[string][]string{}
		}
		who.Extra[k] = v
	}
	a := authorizer.AttributesRecord{User: who}
	if r := review.ResourceAttributes; r != nil {
		a.ResourceRequest = true
		a.Verb, a.APIGroup, a.APIVersion, a.Resource = r.Verb, r.Group, r.Version, r.Resource
		a.Subresource, a.Namespace, a.Name = r.Subresource, r.Namespace, r.Name
	}
	decision, _, err := s.aggregator.GenericAPIServer.Authorizer.Authorize(ctx, a)
	return decision == authorizer.DecisionAllow, err
}
