package gateway

import (
	"context"
	"path"
	"strings"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// nodePaths lets who may read one thing of a node read it through nodes/proxy,
// which otherwise grants all of a node: the rights are those that a kubelet asks
// for at its own port (KEP-2862), where no node of ours listens.
type nodePaths struct{ authorizer.Authorizer }

// Authorize implements authorizer.Authorizer.
func (n nodePaths) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	decision, reason, err := n.Authorizer.Authorize(ctx, a)
	if decision == authorizer.DecisionAllow || !a.IsResourceRequest() || a.GetAPIGroup() != "" || a.GetResource() != "nodes" || a.GetSubresource() != "proxy" {
		return decision, reason, err
	}
	right, node := nodeRight(a.GetPath(), a.GetName())
	if right == "" {
		return decision, reason, err
	}
	finer := authorizer.AttributesRecord{
		User: a.GetUser(), Verb: a.GetVerb(), APIVersion: a.GetAPIVersion(), Resource: "nodes", Subresource: right, Name: node,
		ResourceRequest: true, Path: a.GetPath(),
	}
	if d, why, _ := n.Authorizer.Authorize(ctx, finer); d == authorizer.DecisionAllow {
		return d, why, nil
	}
	return decision, reason, err
}

// nodeRight gives the subresource of nodes that grants a path of a node's proxy,
// "" when only nodes/proxy does, and the node's name without a scheme and a port.
func nodeRight(requested, name string) (right, node string) {
	_, rest, ok := strings.Cut(requested, "/nodes/"+name+"/proxy/")
	if !ok {
		return "", ""
	}
	rest = "/" + strings.TrimSuffix(rest, "/")
	if path.Clean(rest) != rest {
		return "", "" // what comes out of it isn't what was looked at
	}
	_, node, _, ok = utilnet.SplitSchemeNamePort(name) // as the proxy reads it
	if !ok {
		return "", ""
	}
	first, _, _ := strings.Cut(rest[1:], "/")
	switch first {
	case "stats", "metrics", "checkpoint", "healthz", "configz", "pods":
		return first, node
	case "logs":
		return "log", node
	case "runningpods":
		return "pods", node
	}
	return "", ""
}
