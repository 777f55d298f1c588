package servicecidr_test

import (
	"testing"
	"testing/synctest"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/servicecidr"
)

func TestStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.InFlight = 1
		w.Run(servicecidr.New())
		script := controllertest.NewTranscript(w, "range")
		step := func(name string) {
			w.Advance(time.Minute)
			script.Step("%s", name)
		}
		w.Create(ranges, &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "more"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.9.0.0/24"}}})
		step("a range")
		address(w, "10.9.0.7", "ipallocator.k8s.io")
		step("an address of it")
		w.Delete(ranges.Key("", "more"), "")
		step("the range is deleted")
		w.Delete(ips.Key("", "10.9.0.7"), "")
		step("the address goes")
		script.Done()
	})
}
