package metrics

import (
	"context"
	"log/slog"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
	"k8s.io/metrics/pkg/apis/metrics"
)

const (
	// Priority is the group's place and the version's: last, as metrics-server has it.
	Priority = 100

	// patience is how many failures are normal while everything starts.
	patience = 10

	readers = "system:aggregated-metrics-reader"
)

// Registration makes the API known to clients, and readable for whoever may view.
type Registration struct {
	Services aggregator.Interface
	Roles    kubernetes.Interface
	// Informer is of APIServices.
	Informer cache.SharedIndexInformer
}

// Run makes what isn't there, and the APIService again when another's was removed.
// It ends with ctx.
func (r Registration) Run(ctx context.Context) {
	removed := make(chan struct{}, 1)
	handle, err := r.Informer.AddEventHandler(cache.ResourceEventHandlerFuncs{DeleteFunc: func(o any) {
		if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
			o = last.Obj
		}
		if s, ok := o.(*apiregistrationv1.APIService); ok && s.Name == service().Name && s.Spec.Service != nil {
			select {
			case removed <- struct{}{}:
			default:
			}
		}
	}})
	if err == nil {
		defer r.Informer.RemoveEventHandler(handle) //nolint:errcheck // it fails for handlers of another informer only
	}
	for {
		r.make(ctx)
		select {
		case <-ctx.Done():
			return
		case <-removed:
		}
	}
}

// make tries until everything is there, and says once that it takes long. A failure has
// no event to wait for: a webhook may be down.
func (r Registration) make(ctx context.Context) {
	pause := wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Steps: patience, Cap: time.Minute}.DelayFunc()
	for tries := 1; ; tries++ {
		err := r.try(ctx)
		if err == nil {
			return
		}
		if tries == patience {
			slog.Warn("the metrics API can't be registered: kubectl top doesn't find it meanwhile", "error", err)
		}
		again := time.NewTimer(pause())
		select {
		case <-ctx.Done():
			again.Stop()
			return
		case <-again.C:
		}
	}
}

func (r Registration) try(ctx context.Context) error {
	_, err := r.Roles.RbacV1().ClusterRoles().Create(ctx, role(), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	_, err = r.Services.ApiregistrationV1().APIServices().Create(ctx, service(), metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// service is served by this program: it names no Service.
func service() *apiregistrationv1.APIService {
	return &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: GroupVersion.Version + "." + GroupVersion.Group},
		Spec: apiregistrationv1.APIServiceSpec{
			Group: GroupVersion.Group, Version: GroupVersion.Version, GroupPriorityMinimum: Priority, VersionPriority: Priority,
		},
	}
}

// role lets whoever may view, edit or administrate read metrics.
func role() *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: readers, Labels: map[string]string{
			"rbac.authorization.k8s.io/aggregate-to-view": "true", "rbac.authorization.k8s.io/aggregate-to-edit": "true",
			"rbac.authorization.k8s.io/aggregate-to-admin": "true",
		}},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{metrics.GroupName}, Resources: []string{"pods", "nodes"}, Verbs: []string{"get", "list", "watch"}}},
	}
}
