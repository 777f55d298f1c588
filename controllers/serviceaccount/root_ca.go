package serviceaccount

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// RootCA is the name of the config map.
const RootCA = "kube-root-ca.crt"

// NewRootCA makes the controller that publishes ca (PEM) in every namespace, and
// puts it back when somebody changes it.
func NewRootCA(ca []byte) *controllers.Controller {
	data := map[string]string{"ca.crt": string(ca)}
	return controllers.New("root-ca-cert-publisher").
		For("", "namespaces").
		Watches("", "configmaps", namespaceOf(RootCA)).
		Reconcile(func(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
			if !active(s, key) {
				return controllers.Result{}, nil
			}
			o := s.Get(controllers.ConfigMap.Key(key.Name, RootCA))
			if !o.Exists() {
				return controllers.Do(controllers.Create(controllers.ConfigMap, &corev1.ConfigMap{
					TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
					ObjectMeta: metav1.ObjectMeta{Namespace: key.Name, Name: RootCA, Annotations: map[string]string{
						"kubernetes.io/description": "The certificate authority that signs the API server's certificate.",
					}},
					Data: data,
				})), nil
			}
			cm, ok := o.Value.(*corev1.ConfigMap)
			if !ok || maps.Equal(cm.Data, data) && len(cm.BinaryData) == 0 {
				return controllers.Result{}, nil
			}
			changed := cm.DeepCopy()
			changed.Data, changed.BinaryData = data, nil
			return controllers.Do(controllers.Update(o, changed)), nil
		})
}
