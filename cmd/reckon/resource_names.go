package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/reckon-project/reckon/events"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// shortNames are the names that kubectl users type.
var shortNames = map[string]string{
	"po": "pods", "deploy": "deployments", "rs": "replicasets", "svc": "services", "ns": "namespaces", "no": "nodes",
	"cm": "configmaps", "sts": "statefulsets", "ds": "daemonsets", "ep": "endpoints", "sa": "serviceaccounts",
	"pvc": "persistentvolumeclaims", "pv": "persistentvolumes", "ing": "ingresses", "cj": "cronjobs", "ev": "events",
	"hpa": "horizontalpodautoscalers", "pdb": "poddisruptionbudgets", "netpol": "networkpolicies", "crd": "customresourcedefinitions",
	"sc": "storageclasses", "pc": "priorityclasses", "quota": "resourcequotas", "limits": "limitranges", "rc": "replicationcontrollers",
}

// clusterScoped are the built-in resources without a namespace.
var clusterScoped = map[string]bool{
	"namespaces": true, "nodes": true, "persistentvolumes": true, "clusterroles": true, "clusterrolebindings": true,
	"customresourcedefinitions": true, "storageclasses": true, "priorityclasses": true, "apiservices": true,
	"validatingwebhookconfigurations": true, "mutatingwebhookconfigurations": true, "certificatesigningrequests": true,
	"validatingadmissionpolicies": true, "validatingadmissionpolicybindings": true, "runtimeclasses": true, "csidrivers": true,
	"csinodes": true, "volumeattachments": true, "ingressclasses": true, "flowschemas": true, "prioritylevelconfigurations": true,
	"servicecidrs": true, "ipaddresses": true, "leaders": true,
}

// parseObject reads "deploy/web", "pod/prod/web-1", "widgets.example.com/w" or
// "pod web" as the key of an object; namespace is used where the text has none.
func parseObject(text, namespace string) (events.Key, error) {
	parts := strings.Split(text, "/")
	if len(parts) < 2 || len(parts) > 3 {
		return events.Key{}, fmt.Errorf("object %q: want KIND/NAME or KIND/NAMESPACE/NAME, for example deploy/web", text)
	}
	group, resource, err := parseResource(parts[0])
	if err != nil {
		return events.Key{}, err
	}
	k := events.Key{Group: group, Resource: resource, Namespace: namespace, Name: parts[len(parts)-1]}
	if len(parts) == 3 {
		k.Namespace = parts[1]
	}
	if clusterScoped[resource] {
		k.Namespace = ""
	}
	if k.Name == "" {
		return events.Key{}, fmt.Errorf("object %q has no name", text)
	}
	return k, nil
}

// parseResource reads a plural, singular, kind or short name, with or without
// its group ("pods", "Deployment", "deployments.apps", "widgets.example.com").
func parseResource(text string) (group, resource string, err error) {
	name, group, qualified := strings.Cut(strings.ToLower(text), ".")
	if plural, ok := shortNames[name]; ok {
		name = plural
	}
	var found []schema.GroupResource
	for gvk := range events.Scheme.AllKnownTypes() {
		plural, singular := meta.UnsafeGuessKindToResource(gvk)
		if (name == plural.Resource || name == singular.Resource) && (!qualified || gvk.Group == group) {
			found = append(found, plural.GroupResource())
		}
	}
	if len(found) > 0 {
		// A resource of several groups is meant in its usual one: the core
		// group sorts first, the retired "extensions" last.
		best := slices.MinFunc(found, func(a, b schema.GroupResource) int {
			return cmp.Or(
				cmp.Compare(btoi(a.Group == "extensions"), btoi(b.Group == "extensions")),
				cmp.Compare(a.Group, b.Group),
			)
		})
		return best.Group, best.Resource, nil
	}
	if qualified {
		return group, name, nil // a custom resource by its full name
	}
	return "", "", fmt.Errorf("unknown kind %q: give a custom resource as <plural>.<group>", text)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
