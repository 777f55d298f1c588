package scheduler

import "strings"

// NodeResourcesFit refuses nodes that lack a resource the pod requests.
type NodeResourcesFit struct{}

func (NodeResourcesFit) Name() string { return "NodeResourcesFit" }

func (NodeResourcesFit) Refuses(cl *class, n *node) bool {
	for _, r := range cl.checked {
		if r.amount > n.free(r.resource) {
			return true
		}
	}
	return false
}

func (NodeResourcesFit) Reasons(c *cluster, cl *class, n *node) []string {
	var out []string
	for _, r := range cl.checked {
		switch {
		case r.amount <= n.free(r.resource):
		case r.resource == podsIndex:
			out = append(out, "Too many pods")
		default:
			out = append(out, "Insufficient "+string(c.resources.names[r.resource]))
		}
	}
	return out
}

// checked leaves out the extended resources that a profile ignores.
func (s *settings) checked(names *resourceNames, requests []request) []request {
	if len(s.ignored)+len(s.ignoredGroups) == 0 {
		return requests
	}
	var out []request
	for _, r := range requests {
		name := string(names.names[r.resource])
		domain, _, extended := strings.Cut(name, "/")
		extended = extended && domain != "kubernetes.io" && !strings.HasSuffix(domain, ".kubernetes.io")
		if !extended || !s.ignored[name] && !s.ignoredGroups[domain] {
			out = append(out, r)
		}
	}
	return out
}
