package past

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	apiextensionshelpers "k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	upstream "k8s.io/apiserver/pkg/endpoints/discovery"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
)

// discovery is the list of all groups, made when it is first asked for.
type discovery struct {
	mu   sync.Mutex
	root http.Handler
}

// readVerbs is what can be done with custom resources of the past.
var readVerbs = metav1.Verbs{"get", "list", "watch"}

const acceptGroups = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

// serveGroups answers /apis, in either of its forms.
func (s *set) serveGroups(w http.ResponseWriter, r *http.Request) {
	s.discovery.mu.Lock()
	if s.discovery.root == nil {
		root, err := s.groups(r)
		if err != nil {
			s.discovery.mu.Unlock()
			fail(w, r, err)
			return
		}
		s.discovery.root = root
	}
	root := s.discovery.root
	s.discovery.mu.Unlock()
	root.ServeHTTP(w, r)
}

// groups makes the handler of /apis: what is built in, as the server of the
// present has it, and what was defined.
func (s *set) groups(like *http.Request) (http.Handler, error) {
	data, err := get(s.api, like, "/apis", acceptGroups)
	if err != nil {
		return nil, err
	}
	var present apidiscoveryv2.APIGroupDiscoveryList
	if err := json.Unmarshal(data, &present); err != nil {
		return nil, fmt.Errorf("the groups of the present: %w", err)
	}
	manager := aggregated.NewResourceManager("apis")
	root := upstream.NewRootAPIsHandler(upstream.DefaultAddresses{}, legacyscheme.Codecs)
	add := func(i int, group apidiscoveryv2.APIGroupDiscovery) {
		old := metav1.APIGroup{Name: group.Name}
		for j, v := range group.Versions {
			manager.AddGroupVersion(group.Name, v)
			manager.SetGroupVersionPriority(metav1.GroupVersion{Group: group.Name, Version: v.Version}, 20000-i, 1000-j)
			old.Versions = append(old.Versions, forDiscovery(group.Name, v.Version))
		}
		old.PreferredVersion = old.Versions[0]
		root.AddGroup(old)
	}
	n := 0
	for _, g := range present.Items {
		if builtIn(g.Name) && len(g.Versions) > 0 {
			add(n, g)
			n++
		}
	}
	for _, name := range s.definedGroups() {
		group := apidiscoveryv2.APIGroupDiscovery{ObjectMeta: metav1.ObjectMeta{Name: name}}
		for _, v := range s.versions(name) {
			group.Versions = append(group.Versions, apidiscoveryv2.APIVersionDiscovery{
				Version: v, Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent, Resources: s.resources(schema.GroupVersion{Group: name, Version: v}),
			})
		}
		add(n, group)
		n++
	}
	return aggregated.WrapAggregatedDiscoveryToHandler(root, manager, nil), nil
}

func forDiscovery(group, version string) metav1.GroupVersionForDiscovery {
	return metav1.GroupVersionForDiscovery{GroupVersion: group + "/" + version, Version: version}
}

// serveGroup answers /apis/<group>.
func (s *set) serveGroup(w http.ResponseWriter, r *http.Request, name string) {
	group := metav1.APIGroup{Name: name}
	for _, v := range s.versions(name) {
		group.Versions = append(group.Versions, forDiscovery(name, v))
	}
	if len(group.Versions) == 0 {
		unknownGroup(w, r, name)
		return
	}
	group.PreferredVersion = group.Versions[0]
	upstream.NewAPIGroupHandler(legacyscheme.Codecs, group).ServeHTTP(w, r)
}

// serveVersion answers /apis/<group>/<version>.
func (s *set) serveVersion(w http.ResponseWriter, r *http.Request, gv schema.GroupVersion) {
	if !slices.Contains(s.versions(gv.Group), gv.Version) {
		unknownGroup(w, r, gv.String())
		return
	}
	var list []metav1.APIResource
	for _, res := range s.resources(gv) {
		namespaced := res.Scope == apidiscoveryv2.ScopeNamespace
		list = append(list, metav1.APIResource{
			Name: res.Resource, SingularName: res.SingularResource, Namespaced: namespaced, Kind: res.ResponseKind.Kind,
			Verbs: res.Verbs, ShortNames: res.ShortNames, Categories: res.Categories,
		})
		for _, sub := range res.Subresources {
			each := metav1.APIResource{Name: res.Resource + "/" + sub.Subresource, Namespaced: namespaced, Kind: sub.ResponseKind.Kind, Verbs: sub.Verbs}
			if sub.ResponseKind.Group != gv.Group {
				each.Group, each.Version = sub.ResponseKind.Group, sub.ResponseKind.Version
			}
			list = append(list, each)
		}
	}
	upstream.NewAPIVersionHandler(legacyscheme.Codecs, gv, upstream.APIResourceListerFunc(func() []metav1.APIResource { return list })).ServeHTTP(w, r)
}

func unknownGroup(w http.ResponseWriter, r *http.Request, name string) {
	fail(w, r, status(http.StatusNotFound, metav1.StatusReasonNotFound, name+" was not defined at that moment"))
}

// definedGroups gives the groups that had custom resources, in order.
func (s *set) definedGroups() []string {
	var out []string
	for _, crd := range s.served() {
		if len(s.versions(crd.Spec.Group)) > 0 {
			out = append(out, crd.Spec.Group)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// served gives the definitions that were in force.
func (s *set) served() Definitions {
	return slices.DeleteFunc(slices.Clone(s.defined), func(crd *apiextensionsv1.CustomResourceDefinition) bool {
		return !apiextensionshelpers.IsCRDConditionTrue(crd, apiextensionsv1.Established)
	})
}

// versions gives the served versions of a group, the preferred one first.
func (s *set) versions(group string) []string {
	var out []string
	for _, crd := range s.served() {
		for _, v := range crd.Spec.Versions {
			if crd.Spec.Group == group && v.Served && !slices.Contains(out, v.Name) {
				out = append(out, v.Name)
			}
		}
	}
	slices.SortFunc(out, func(a, b string) int { return version.CompareKubeAwareVersionStrings(b, a) })
	return out
}

// resources gives the custom resources that were served in a version.
func (s *set) resources(gv schema.GroupVersion) []apidiscoveryv2.APIResourceDiscovery {
	var out []apidiscoveryv2.APIResourceDiscovery
	for _, crd := range s.served() {
		if crd.Spec.Group == gv.Group && apiextensionshelpers.HasServedCRDVersion(crd, gv.Version) {
			out = append(out, resource(crd, gv))
		}
	}
	slices.SortFunc(out, func(a, b apidiscoveryv2.APIResourceDiscovery) int { return cmp.Compare(a.Resource, b.Resource) })
	return out
}

func resource(crd *apiextensionsv1.CustomResourceDefinition, gv schema.GroupVersion) apidiscoveryv2.APIResourceDiscovery {
	names := crd.Status.AcceptedNames
	kind := &metav1.GroupVersionKind{Group: gv.Group, Version: gv.Version, Kind: names.Kind}
	out := apidiscoveryv2.APIResourceDiscovery{
		Resource: names.Plural, SingularResource: names.Singular, Scope: apidiscoveryv2.ScopeCluster, ResponseKind: kind,
		Verbs: readVerbs, ShortNames: names.ShortNames, Categories: names.Categories,
	}
	if crd.Spec.Scope == apiextensionsv1.NamespaceScoped {
		out.Scope = apidiscoveryv2.ScopeNamespace
	}
	for _, v := range crd.Spec.Versions {
		if v.Name != gv.Version || v.Subresources == nil {
			continue
		}
		if v.Subresources.Status != nil {
			out.Subresources = append(out.Subresources, apidiscoveryv2.APISubresourceDiscovery{Subresource: "status", ResponseKind: kind, Verbs: metav1.Verbs{"get"}})
		}
		if v.Subresources.Scale != nil {
			scale := &metav1.GroupVersionKind{Group: "autoscaling", Version: "v1", Kind: "Scale"}
			out.Subresources = append(out.Subresources, apidiscoveryv2.APISubresourceDiscovery{Subresource: "scale", ResponseKind: scale, Verbs: metav1.Verbs{"get"}})
		}
	}
	return out
}
