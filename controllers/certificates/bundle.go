package certificates

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// ServingSigner is the signer whose bundle verifies the API's certificate.
const ServingSigner = "kubernetes.io/kube-apiserver-serving"

var bundles = controllers.Kind{Group: "certificates.k8s.io", Version: "v1", Kind: "ClusterTrustBundle", Resource: "clustertrustbundles"}

// NewBundle makes the controller that publishes ca (PEM) as the trust bundle of
// [ServingSigner].
func NewBundle(ca []byte) *controllers.Controller {
	hash := sha256.Sum256(ca)
	key := bundles.Key("", fmt.Sprintf("%s:%x", strings.ReplaceAll(ServingSigner, "/", ":"), hash[:12]))
	return controllers.New("kube-apiserver-serving-clustertrustbundle-publisher").
		Source(func(ctx context.Context, add func(events.Key)) error {
			add(key)
			<-ctx.Done()
			return nil
		}).
		Watches(bundles.Group, bundles.Resource, func(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
			if ofSigner(c.Old) || ofSigner(c.New) {
				add(key)
			}
		}).
		Reconcile(func(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
			return controllers.Do(publish(s, key, string(ca))...), nil
		})
}

func ofSigner(o *events.Object) bool {
	if !o.Exists() {
		return false
	}
	b, ok := o.Value.(*certificatesv1.ClusterTrustBundle)
	return ok && b.Spec.SignerName == ServingSigner
}

func publish(s *projections.Snapshot, key events.Key, ca string) []controllers.Intent {
	var intents []controllers.Intent
	o := s.Get(key)
	if !o.Exists() {
		intents = append(intents, controllers.Create(bundles, &certificatesv1.ClusterTrustBundle{
			TypeMeta:   metav1.TypeMeta{APIVersion: bundles.APIVersion(), Kind: bundles.Kind},
			ObjectMeta: metav1.ObjectMeta{Name: key.Name},
			Spec:       certificatesv1.ClusterTrustBundleSpec{SignerName: ServingSigner, TrustBundle: ca},
		}))
	} else if b, ok := o.Value.(*certificatesv1.ClusterTrustBundle); ok && b.Spec.TrustBundle != ca {
		next := b.DeepCopy()
		next.Spec.TrustBundle = ca
		intents = append(intents, controllers.Update(o, next))
	}
	for other := range s.List(bundles.Group, bundles.Resource, "") {
		if other.Key != key && ofSigner(other) && other.Meta().GetDeletionTimestamp() == nil {
			intents = append(intents, controllers.Delete(other))
		}
	}
	return intents
}
