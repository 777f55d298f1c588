package main

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// Reconciler keeps a ConfigMap for each Guestbook.
type Reconciler struct {
	client.Client
	Scheme *runtime.Scheme
}

// SetupWithManager declares what is watched.
func (r *Reconciler) SetupWithManager(m ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(m).For(&Guestbook{}).Owns(&corev1.ConfigMap{}).Complete(r)
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var book Guestbook
	if err := r.Get(ctx, req.NamespacedName, &book); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	text := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: book.Namespace, Name: "guestbook-" + book.Name}}
	_, err := controllerutil.CreateOrUpdate(ctx, r.Client, text, func() error {
		text.Data = map[string]string{"text": strings.Join(book.Spec.Entries, "\n")}
		return controllerutil.SetControllerReference(&book, text, r.Scheme)
	})
	if err != nil || book.Status.Pages == len(book.Spec.Entries) {
		return ctrl.Result{}, err
	}
	book.Status.Pages = len(book.Spec.Entries)
	return ctrl.Result{}, r.Status().Update(ctx, &book)
}
