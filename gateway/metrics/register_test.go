package metrics

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubernetesfake "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregatorfake "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/fake"
)

// TestRegistrationDoesNotGiveUp: a webhook that refuses for long doesn't keep the API from being
// registered once it doesn't.
func TestRegistrationDoesNotGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		services := aggregatorfake.NewSimpleClientset()
		services.PrependReactor("create", "apiservices", func(clienttesting.Action) (bool, runtime.Object, error) {
			return down, nil, errors.New("a webhook is down")
		})
		r := Registration{
			Services: services, Roles: kubernetesfake.NewClientset(),
			Informer: cache.NewSharedIndexInformer(&cache.ListWatch{}, &apiregistrationv1.APIService{}, 0, cache.Indexers{}),
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			r.Run(ctx)
		}()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		down = false
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if _, err := services.ApiregistrationV1().APIServices().Get(ctx, service().Name, metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
		cancel()
		<-ended
	})
}
