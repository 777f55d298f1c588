package servicecidr_test

import (
	"testing"
	"testing/synctest"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/servicecidr"
	"github.com/reckon-project/reckon/events"
)

var (
	ranges = controllers.Kind{Group: "networking.k8s.io", Version: "v1", Kind: "ServiceCIDR", Resource: "servicecidrs"}
	ips    = controllers.Kind{Group: "networking.k8s.io", Version: "v1", Kind: "IPAddress", Resource: "ipaddresses"}
)

func start(t *testing.T) (*controllertest.World, events.Key) {
	w := controllertest.NewWorld(t)
	w.Run(servicecidr.New())
	w.Create(ranges, &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "more"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.9.0.0/24"}}})
	w.Settle()
	return w, ranges.Key("", "more")
}

func address(w *controllertest.World, ip, manager string) {
	w.Create(ips, &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: ip, Labels: map[string]string{networkingv1.LabelManagedBy: manager}}})
}

func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, key := start(t)
		defer w.Stop()
		r := controllertest.Get[*networkingv1.ServiceCIDR](w, key)
		if !meta.IsStatusConditionTrue(r.Status.Conditions, "Ready") || len(r.Finalizers) != 1 {
			t.Errorf("the range is %+v", r)
		}
	})
}

// TestDeletion: an address keeps its only range, until it goes or another range has it.
func TestDeletion(t *testing.T) {
	for name, let := range map[string]func(*controllertest.World){
		"the address goes": func(w *controllertest.World) { w.Delete(ips.Key("", "10.9.0.7"), "") },
		"another range has it": func(w *controllertest.World) {
			w.Create(ranges, &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "wide"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.0.0.0/8"}}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, key := start(t)
				defer w.Stop()
				address(w, "10.9.0.7", "ipallocator.k8s.io")
				address(w, "10.9.0.8", "somebody")
				w.Delete(key, "")
				w.Advance(time.Minute)
				r := controllertest.Get[*networkingv1.ServiceCIDR](w, key)
				if c := meta.FindStatusCondition(r.Status.Conditions, "Ready"); c == nil || c.Status != metav1.ConditionFalse || c.Reason != "Terminating" {
					t.Errorf("while it is needed: %+v", r.Status)
				}
				let(w)
				w.Advance(time.Second)
				if w.Snapshot().Get(key).Exists() {
					t.Error("it is there although nobody needs it")
				}
			})
		})
	}
}

// TestGrace: nobody may allocate from it any more when it goes.
func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, key := start(t)
		defer w.Stop()
		w.Delete(key, "")
		w.Advance(9 * time.Second)
		if !w.Snapshot().Get(key).Exists() {
			t.Error("it is gone within ten seconds")
		}
		w.Advance(2 * time.Second)
		if w.Snapshot().Get(key).Exists() {
			t.Error("it isn't gone after ten seconds")
		}
	})
}
