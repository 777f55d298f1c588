package gateway

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	resourcev1 "k8s.io/api/resource/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// informed lists what the API server's own parts (authorizers, admission,
// allocators) keep informers of. They read the projection's objects themselves:
// nothing is encoded, decoded or kept twice. Secrets aren't among them, since
// the projection has them sealed.
var informed = map[schema.GroupResource]runtime.Object{
	{Resource: "pods"}:                   &corev1.Pod{},
	{Resource: "nodes"}:                  &corev1.Node{},
	{Resource: "namespaces"}:             &corev1.Namespace{},
	{Resource: "services"}:               &corev1.Service{},
	{Resource: "serviceaccounts"}:        &corev1.ServiceAccount{},
	{Resource: "limitranges"}:            &corev1.LimitRange{},
	{Resource: "resourcequotas"}:         &corev1.ResourceQuota{},
	{Resource: "persistentvolumes"}:      &corev1.PersistentVolume{},
	{Resource: "persistentvolumeclaims"}: &corev1.PersistentVolumeClaim{},

	{Group: "rbac.authorization.k8s.io", Resource: "roles"}:               &rbacv1.Role{},
	{Group: "rbac.authorization.k8s.io", Resource: "rolebindings"}:        &rbacv1.RoleBinding{},
	{Group: "rbac.authorization.k8s.io", Resource: "clusterroles"}:        &rbacv1.ClusterRole{},
	{Group: "rbac.authorization.k8s.io", Resource: "clusterrolebindings"}: &rbacv1.ClusterRoleBinding{},

	{Group: "admissionregistration.k8s.io", Resource: "mutatingwebhookconfigurations"}:     &admissionv1.MutatingWebhookConfiguration{},
	{Group: "admissionregistration.k8s.io", Resource: "validatingwebhookconfigurations"}:   &admissionv1.ValidatingWebhookConfiguration{},
	{Group: "admissionregistration.k8s.io", Resource: "validatingadmissionpolicies"}:       &admissionv1.ValidatingAdmissionPolicy{},
	{Group: "admissionregistration.k8s.io", Resource: "validatingadmissionpolicybindings"}: &admissionv1.ValidatingAdmissionPolicyBinding{},
	{Group: "admissionregistration.k8s.io", Resource: "mutatingadmissionpolicies"}:         &admissionv1.MutatingAdmissionPolicy{},
	{Group: "admissionregistration.k8s.io", Resource: "mutatingadmissionpolicybindings"}:   &admissionv1.MutatingAdmissionPolicyBinding{},

	{Group: "discovery.k8s.io", Resource: "endpointslices"}:   &discoveryv1.EndpointSlice{},
	{Group: "networking.k8s.io", Resource: "servicecidrs"}:    &networkingv1.ServiceCIDR{},
	{Group: "networking.k8s.io", Resource: "ipaddresses"}:     &networkingv1.IPAddress{},
	{Group: "networking.k8s.io", Resource: "ingressclasses"}:  &networkingv1.IngressClass{},
	{Group: "node.k8s.io", Resource: "runtimeclasses"}:        &nodev1.RuntimeClass{},
	{Group: "resource.k8s.io", Resource: "resourceslices"}:    &resourcev1.ResourceSlice{},
	{Group: "scheduling.k8s.io", Resource: "priorityclasses"}: &schedulingv1.PriorityClass{},
	{Group: "storage.k8s.io", Resource: "storageclasses"}:     &storagev1.StorageClass{},
	{Group: "storage.k8s.io", Resource: "volumeattachments"}:  &storagev1.VolumeAttachment{},
	{Group: "storage.k8s.io", Resource: "csidrivers"}:         &storagev1.CSIDriver{},
}

// direct serves the informers of this process from a projection.
type direct struct {
	projection *projections.Projection

	mu       sync.Mutex
	position uint64 // everything up to here has been given to the watches
	watches  map[schema.GroupResource]map[*directWatch]bool
}

func newDirect(p *projections.Projection) *direct {
	return &direct{projection: p, position: p.Snapshot().Position(), watches: map[schema.GroupResource]map[*directWatch]bool{}}
}

// inform makes f's informers of everything in informed read the projection.
func (d *direct) inform(f informers.SharedInformerFactory) {
	for r, example := range informed {
		f.InformerFor(example, func(kubernetes.Interface, time.Duration) cache.SharedIndexInformer {
			return cache.NewSharedIndexInformerWithOptions(directLister{d, r}, example, cache.SharedIndexInformerOptions{
				Indexers: cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc},
			})
		})
	}
}

// run gives changes to the watches until ctx ends or folding stops.
func (d *direct) run(ctx context.Context) error {
	for {
		d.mu.Lock()
		from := d.position
		d.mu.Unlock()
		for changes, err := range d.projection.Changes(ctx, from, projections.BufferOnly()) {
			if err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				d.restart() // the informers list again
				break
			}
			d.give(changes)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

func (d *direct) give(changes []projections.Change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range changes {
		c := &changes[i]
		d.position = c.Event.Sequence
		for w := range d.watches[resourceOf(c.Event)] {
			w.add(c)
		}
	}
}

// restart ends all watches and begins at the present.
func (d *direct) restart() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.position = d.projection.Snapshot().Position()
	for _, watches := range d.watches {
		for w := range watches {
			w.end()
		}
	}
}

func resourceOf(e *events.Event) schema.GroupResource {
	return schema.GroupResource{Group: e.Key.Group, Resource: e.Key.Resource}
}

// directLister is one resource's cache.ListerWatcher.
type directLister struct {
	*direct
	resource schema.GroupResource
}

// IsWatchListSemanticsUnSupported makes reflectors list, then watch.
func (l directLister) IsWatchListSemanticsUnSupported() bool { return true }

// List gives the objects of the newest snapshot, shared with it.
func (l directLister) List(metav1.ListOptions) (runtime.Object, error) {
	s := l.projection.Snapshot()
	list := &metav1.List{}
	list.ResourceVersion = strconv.FormatUint(max(s.Position(), 1), 10)
	for o := range s.List(l.resource.Group, l.resource.Resource, "") {
		list.Items = append(list.Items, runtime.RawExtension{Object: o.Value})
	}
	return list, nil
}

// Watch gives the changes after a version that List gave.
func (l directLister) Watch(o metav1.ListOptions) (watch.Interface, error) {
	from, err := strconv.ParseUint(o.ResourceVersion, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%w: resource version %q", events.ErrInvalid, o.ResourceVersion)
	}
	w := newDirectWatch(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	if from < l.position { // what the dispatcher has passed already is at hand
		for changes, err := range l.projection.Changes(w.ctx, from, projections.BufferOnly()) {
			if err != nil {
				w.cancel()
				return nil, apierrors.NewResourceExpired(err.Error())
			}
			for i := range changes {
				if c := &changes[i]; c.Event.Sequence <= l.position && resourceOf(c.Event) == l.resource {
					w.add(c)
				}
			}
			if changes[len(changes)-1].Event.Sequence >= l.position {
				break
			}
		}
	}
	if l.watches[l.resource] == nil {
		l.watches[l.resource] = map[*directWatch]bool{}
	}
	l.watches[l.resource][w] = true
	go w.run()
	return w, nil
}
