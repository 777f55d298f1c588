package controllers

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Kind names a kind both ways: as owner references do and as keys do.
type Kind struct {
	Group, Version, Kind, Resource string
}

// OfChild maps a change to the controller of the changed object, before and after.
func (k Kind) OfChild(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
	for _, o := range []*events.Object{c.Old, c.New} {
		if key, _, ok := k.ControllerOf(o); ok {
			add(key)
		}
	}
}

// ControllerOf gives the key and uid of an object's controller if it is of this kind.
func (k Kind) ControllerOf(o *events.Object) (events.Key, string, bool) {
	if !o.Exists() {
		return events.Key{}, "", false
	}
	ref := ControllerRef(o.Meta())
	if ref == nil || ref.Kind != k.Kind || GroupOf(ref.APIVersion) != k.Group {
		return events.Key{}, "", false
	}
	return events.Key{Group: k.Group, Resource: k.Resource, Namespace: o.Key.Namespace, Name: ref.Name}, string(ref.UID), true
}

// Ref is the owner reference with which an object of this kind controls another.
func (k Kind) Ref(owner metav1.Object) metav1.OwnerReference {
	yes := true
	return metav1.OwnerReference{
		APIVersion: k.APIVersion(), Kind: k.Kind, Name: owner.GetName(), UID: owner.GetUID(),
		Controller: &yes, BlockOwnerDeletion: &yes,
	}
}

// APIVersion is the kind's group and version as manifests write them.
func (k Kind) APIVersion() string {
	if k.Group == "" {
		return k.Version
	}
	return k.Group + "/" + k.Version
}

// Key names an object of this kind.
func (k Kind) Key(namespace, name string) events.Key {
	return events.Key{Group: k.Group, Resource: k.Resource, Namespace: namespace, Name: name}
}

// ControllerRef is the owner reference marked as controller, nil if there is none.
// It is the object's own: not to be changed.
func ControllerRef(m metav1.Object) *metav1.OwnerReference {
	refs := OwnersOf(m)
	for i := range refs {
		if refs[i].Controller != nil && *refs[i].Controller {
			return &refs[i]
		}
	}
	return nil
}

// OwnersOf gives an object's own references to its owners, not to be changed:
// GetOwnerReferences copies them, for every event that a watch looks at.
func OwnersOf(m metav1.Object) []metav1.OwnerReference {
	if typed, ok := m.(metav1.ObjectMetaAccessor); ok {
		if meta, ok := typed.GetObjectMeta().(*metav1.ObjectMeta); ok {
			return meta.OwnerReferences
		}
	}
	return m.GetOwnerReferences()
}

// GroupOf is the group of an apiVersion.
func GroupOf(apiVersion string) string {
	for i := 0; i < len(apiVersion); i++ {
		if apiVersion[i] == '/' {
			return apiVersion[:i]
		}
	}
	return ""
}

// The kinds that built-in controllers own or reconcile.
var (
	Pod                   = Kind{"", "v1", "Pod", "pods"}
	Node                  = Kind{"", "v1", "Node", "nodes"}
	Namespace             = Kind{"", "v1", "Namespace", "namespaces"}
	Service               = Kind{"", "v1", "Service", "services"}
	Endpoints             = Kind{"", "v1", "Endpoints", "endpoints"}
	ConfigMap             = Kind{"", "v1", "ConfigMap", "configmaps"}
	Secret                = Kind{"", "v1", "Secret", "secrets"}
	ServiceAcct           = Kind{"", "v1", "ServiceAccount", "serviceaccounts"}
	ReplicationController = Kind{"", "v1", "ReplicationController", "replicationcontrollers"}
	ResourceQuota         = Kind{"", "v1", "ResourceQuota", "resourcequotas"}
	PersistentVolume      = Kind{"", "v1", "PersistentVolume", "persistentvolumes"}
	PersistentVolumeClaim = Kind{"", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"}

	Deployment         = Kind{"apps", "v1", "Deployment", "deployments"}
	ReplicaSet         = Kind{"apps", "v1", "ReplicaSet", "replicasets"}
	StatefulSet        = Kind{"apps", "v1", "StatefulSet", "statefulsets"}
	DaemonSet          = Kind{"apps", "v1", "DaemonSet", "daemonsets"}
	ControllerRevision = Kind{"apps", "v1", "ControllerRevision", "controllerrevisions"}

	Job     = Kind{"batch", "v1", "Job", "jobs"}
	CronJob = Kind{"batch", "v1", "CronJob", "cronjobs"}

	HorizontalPodAutoscaler = Kind{"autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"}
	PodDisruptionBudget     = Kind{"policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"}
	EndpointSlice           = Kind{"discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"}
	CSR                     = Kind{"certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests"}
	ClusterRole             = Kind{"rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles"}

	StorageClass          = Kind{"storage.k8s.io", "v1", "StorageClass", "storageclasses"}
	VolumeAttachment      = Kind{"storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments"}
	VolumeAttributesClass = Kind{"storage.k8s.io", "v1", "VolumeAttributesClass", "volumeattributesclasses"}

	ResourceClaim         = Kind{"resource.k8s.io", "v1", "ResourceClaim", "resourceclaims"}
	ResourceSlice         = Kind{"resource.k8s.io", "v1", "ResourceSlice", "resourceslices"}
	DeviceTaintRule       = Kind{"resource.k8s.io", "v1", "DeviceTaintRule", "devicetaintrules"}
	ResourceClaimTemplate = Kind{"resource.k8s.io", "v1", "ResourceClaimTemplate", "resourceclaimtemplates"}
)
