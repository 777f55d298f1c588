package serviceaccount

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// New makes the controller that creates the default service account.
func New() *controllers.Controller {
	return controllers.New("service-account-controller").
		For("", "namespaces").
		Watches("", "serviceaccounts", namespaceOf("default")).
		Reconcile(createDefault)
}

// namespaceOf maps an object of that name to its namespace.
func namespaceOf(name string) controllers.Mapper {
	return func(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
		if k := controllers.KeyOf(c); k.Name == name {
			add(controllers.Namespace.Key("", k.Namespace))
		}
	}
}

func createDefault(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	if !active(s, key) || s.Get(controllers.ServiceAcct.Key(key.Name, "default")).Exists() {
		return controllers.Result{}, nil
	}
	return controllers.Do(controllers.Create(controllers.ServiceAcct, &corev1.ServiceAccount{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Name, Name: "default"},
	})), nil
}

// active reports a namespace in which things may be created.
func active(s *projections.Snapshot, key events.Key) bool {
	ns, ok := projections.Get[*corev1.Namespace](s, key)
	return ok && ns.DeletionTimestamp == nil && ns.Status.Phase != corev1.NamespaceTerminating
}
