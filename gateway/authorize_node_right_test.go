package gateway

import (
	"context"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// TestNodeRightsByName: a right to one page of one node is a right to that page of that node,
// however the request writes the node.
func TestNodeRightsByName(t *testing.T) {
	for _, c := range []struct {
		may, name, path string
		want            bool
	}{
		{"n1", "n1", "metrics", true},
		{"n1", "n1:10250", "metrics/cadvisor", true},
		{"n1", "http:n1:10250", "metrics", true},
		{"n1", "https:n1:", "metrics/", true},
		{"n1", "n2", "metrics", false},
		{"n1", "n1", "stats/summary", false},
		{"n1", "n1", "metrics/../stats", false},
		{"n1", "n1", "metrics//stats", false},
		{"n1", "n1:n2:10250", "metrics", false},
		{"https", "https:n1:10250", "metrics", false},
		{"http", "http:n1:", "metrics", false},
		{"", "https:n1:10250:1", "metrics", false},
	} {
		next := authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
			if a.GetResource() == "nodes" && a.GetSubresource() == "metrics" && a.GetName() == c.may && a.GetVerb() == "get" {
				return authorizer.DecisionAllow, "", nil
			}
			return authorizer.DecisionNoOpinion, "", nil
		})
		got, _, err := nodePaths{next}.Authorize(t.Context(), authorizer.AttributesRecord{
			User: &user.DefaultInfo{Name: "u"}, Verb: "get", APIVersion: "v1", Resource: "nodes", Subresource: "proxy", Name: c.name,
			ResourceRequest: true, Path: "/api/v1/nodes/" + c.name + "/proxy/" + c.path,
		})
		if err != nil || (got == authorizer.DecisionAllow) != c.want {
			t.Errorf("metrics of %q give %s of %q: %v, %v", c.may, c.path, c.name, got, err)
		}
	}
}
