package resourcequota_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/resourcequota"
	"github.com/reckon-project/reckon/projections"
)

func in(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "prod", Name: name} }

func list(amounts ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for _, a := range amounts {
		name, n, _ := strings.Cut(a, "=")
		l[corev1.ResourceName(name)] = resource.MustParse(n)
	}
	return l
}

func quota(name string, hard ...string) *corev1.ResourceQuota {
	q := &corev1.ResourceQuota{ObjectMeta: in(name)}
	q.Spec.Hard = list(hard...)
	return q
}

func pod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: in(name)}
	p.Spec.Containers = []corev1.Container{{Name: "c"}}
	for _, f := range change {
		f(p)
	}
	return p
}

func asks(requests, limits corev1.ResourceList) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: requests, Limits: limits}
	}
}

// used gives a quota's status as text, in order.
func used(w *controllertest.World, name string) string {
	q, _ := projections.Get[*corev1.ResourceQuota](w.Snapshot(), controllers.ResourceQuota.Key("prod", name))
	var parts []string
	for n, v := range q.Status.Used {
		parts = append(parts, string(n)+"="+v.String())
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

func TestUsage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(resourcequota.New(nil))
		has := func(name, want string) {
			t.Helper()
			w.Advance(3 * time.Second)
			if got := used(w, name); got != want {
				t.Errorf("%s\n got %s\nwant %s", name, got, want)
			}
		}
		w.Create(controllers.Pod, pod("a", asks(list("cpu=100m", "memory=1Gi", "nvidia.com/gpu=2", "hugepages-2Mi=4Mi"), list("cpu=1", "ephemeral-storage=1Gi"))))
		w.Create(controllers.Pod, pod("b", asks(list("cpu=50m"), nil)))
		w.Create(controllers.ResourceQuota, quota("pods", "pods=10", "count/pods=10", "cpu=1", "requests.cpu=1", "requests.memory=9Gi", "limits.cpu=4",
			"limits.ephemeral-storage=9Gi", "requests.nvidia.com/gpu=9", "requests.hugepages-2Mi=9Mi", "unheard-of=1"))
		has("pods", "count/pods=2 cpu=150m limits.cpu=1 limits.ephemeral-storage=1Gi pods=2 requests.cpu=150m requests.hugepages-2Mi=4Mi requests.memory=1Gi requests.nvidia.com/gpu=2")
		w.PatchStatus(controllers.Pod.Key("prod", "b"), `{"status":{"phase":"Succeeded"}}`)
		has("pods", "count/pods=2 cpu=100m limits.cpu=1 limits.ephemeral-storage=1Gi pods=1 requests.cpu=100m requests.hugepages-2Mi=4Mi requests.memory=1Gi requests.nvidia.com/gpu=2")

		service := &corev1.Service{ObjectMeta: in("lb")}
		service.Spec.Type, service.Spec.Ports = corev1.ServiceTypeLoadBalancer, []corev1.ServicePort{{Port: 1}, {Port: 2}}
		w.Create(controllers.Service, service)
		w.Create(controllers.Service, &corev1.Service{ObjectMeta: in("plain")})
		w.Create(controllers.ResourceQuota, quota("services", "services=5", "count/services=5", "services.nodeports=5", "services.loadbalancers=1"))
		has("services", "count/services=2 services.loadbalancers=1 services.nodeports=2 services=2")
		w.Patch(controllers.Service.Key("prod", "lb"), `{"spec":{"type":"NodePort"}}`)
		has("services", "count/services=2 services.loadbalancers=0 services.nodeports=2 services=2")

		gold := "gold"
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: in("data")}
		claim.Spec.StorageClassName = &gold
		claim.Spec.Resources.Requests = list("storage=1500m")
		w.Create(controllers.PersistentVolumeClaim, claim)
		w.Create(controllers.ResourceQuota, quota("claims", "persistentvolumeclaims=5", "requests.storage=9Gi", "gold.storageclass.storage.k8s.io/requests.storage=9Gi",
			"gold.storageclass.storage.k8s.io/persistentvolumeclaims=2", "silver.storageclass.storage.k8s.io/persistentvolumeclaims=2"))
		has("claims", "gold.storageclass.storage.k8s.io/persistentvolumeclaims=1 gold.storageclass.storage.k8s.io/requests.storage=2 "+
			"persistentvolumeclaims=1 requests.storage=2 silver.storageclass.storage.k8s.io/persistentvolumeclaims=0")
		w.PatchStatus(controllers.PersistentVolumeClaim.Key("prod", "data"), `{"status":{"allocatedResources":{"storage":"5"}}}`)
		w.Patch(controllers.PersistentVolumeClaim.Key("prod", "data"), `{"spec":{"resources":{"requests":{"storage":"3"}}}}`)
		has("claims", "gold.storageclass.storage.k8s.io/persistentvolumeclaims=1 gold.storageclass.storage.k8s.io/requests.storage=5 "+
			"persistentvolumeclaims=1 requests.storage=5 silver.storageclass.storage.k8s.io/persistentvolumeclaims=0")

		device := &resourcev1.ResourceClaim{ObjectMeta: in("gpus")}
		device.Spec.Devices.Requests = []resourcev1.DeviceRequest{
			{Name: "x", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: "gpu", AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: 3}},
			{Name: "y", FirstAvailable: []resourcev1.DeviceSubRequest{
				{DeviceClassName: "gpu", AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: 1},
				{DeviceClassName: "gpu", AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: 2}}},
		}
		w.Create(controllers.ResourceClaim, device)
		w.Create(controllers.ResourceQuota, quota("devices", "gpu.deviceclass.resource.k8s.io/devices=9", "count/resourceclaims.resource.k8s.io=2"))
		has("devices", "count/resourceclaims.resource.k8s.io=1 gpu.deviceclass.resource.k8s.io/devices=5")

		cats := controllers.Kind{Group: "example.com", Version: "v1", Kind: "Cat", Resource: "cats"}
		cat := &unstructured.Unstructured{}
		cat.SetAPIVersion("example.com/v1")
		cat.SetKind("Cat")
		cat.SetNamespace("prod")
		cat.SetName("tom")
		w.Create(cats, cat)
		w.Create(controllers.ConfigMap, &corev1.ConfigMap{ObjectMeta: in("m")})
		w.Create(controllers.ResourceQuota, quota("counts", "count/cats.example.com=1", "configmaps=3", "count/configmaps=3", "secrets=1", "resourcequotas=9", "count/events=1"))
		has("counts", "configmaps=1 count/cats.example.com=1 count/configmaps=1 resourcequotas=5 secrets=0")
		w.Delete(cats.Key("prod", "tom"), "")
		has("counts", "configmaps=1 count/cats.example.com=0 count/configmaps=1 resourcequotas=5 secrets=0")
		w.Patch(controllers.ResourceQuota.Key("prod", "counts"), `{"spec":{"hard":{"secrets":null,"configmaps":"7"}}}`)
		has("counts", "configmaps=1 count/cats.example.com=0 count/configmaps=1 resourcequotas=5")
	})
}

func TestScopes(t *testing.T) {
	deadline := int64(60)
	yes := func(*corev1.Pod) {}
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		spec   string
		want   string
	}{
		"terminating":       {func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = &deadline }, `{"scopes":["Terminating"]}`, "pods=1"},
		"not terminating":   {yes, `{"scopes":["Terminating"]}`, "pods=0"},
		"NotTerminating":    {yes, `{"scopes":["NotTerminating"]}`, "pods=1"},
		"best effort":       {yes, `{"scopes":["BestEffort"]}`, "pods=1"},
		"burstable":         {asks(list("cpu=1"), nil), `{"scopes":["BestEffort"]}`, "pods=0"},
		"NotBestEffort":     {asks(list("cpu=1"), nil), `{"scopes":["NotBestEffort"]}`, "pods=1"},
		"priority in":       {func(p *corev1.Pod) { p.Spec.PriorityClassName = "high" }, `{"scopeSelector":{"matchExpressions":[{"scopeName":"PriorityClass","operator":"In","values":["high"]}]}}`, "pods=1"},
		"priority not in":   {func(p *corev1.Pod) { p.Spec.PriorityClassName = "low" }, `{"scopeSelector":{"matchExpressions":[{"scopeName":"PriorityClass","operator":"In","values":["high"]}]}}`, "pods=0"},
		"priority none":     {yes, `{"scopeSelector":{"matchExpressions":[{"scopeName":"PriorityClass","operator":"DoesNotExist"}]}}`, "pods=1"},
		"priority exists":   {yes, `{"scopes":["PriorityClass"]}`, "pods=0"},
		"affinity":          {affinity("other"), `{"scopes":["CrossNamespacePodAffinity"]}`, "pods=1"},
		"affinity at home":  {affinity(), `{"scopes":["CrossNamespacePodAffinity"]}`, "pods=0"},
		"two, one of which": {yes, `{"scopes":["BestEffort","Terminating"]}`, "pods=0"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := controllertest.NewWorld(t)
				defer w.Stop()
				w.Run(resourcequota.New(nil))
				w.Create(controllers.Pod, pod("p", c.change))
				w.Create(controllers.ResourceQuota, quota("q", "pods=5"))
				w.Patch(controllers.ResourceQuota.Key("prod", "q"), `{"spec":%s}`, c.spec)
				w.Advance(5 * time.Second)
				if got := used(w, "q"); got != c.want {
					t.Errorf("used %s, want %s", got, c.want)
				}
			})
		})
	}
}

func affinity(namespaces ...string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{
			{PodAffinityTerm: corev1.PodAffinityTerm{Namespaces: namespaces}}}}}
	}
}

func TestVolumeAttributesClassScope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(resourcequota.New(nil))
		fast := "fast"
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: in("data")}
		claim.Spec.VolumeAttributesClassName = &fast
		w.Create(controllers.PersistentVolumeClaim, claim)
		w.Create(controllers.PersistentVolumeClaim, &corev1.PersistentVolumeClaim{ObjectMeta: in("plain")})
		q := quota("q", "persistentvolumeclaims=5")
		q.Spec.ScopeSelector = &corev1.ScopeSelector{MatchExpressions: []corev1.ScopedResourceSelectorRequirement{
			{ScopeName: corev1.ResourceQuotaScopeVolumeAttributesClass, Operator: corev1.ScopeSelectorOpIn, Values: []string{"fast"}}}}
		w.Create(controllers.ResourceQuota, q)
		w.Advance(3 * time.Second)
		if got := used(w, "q"); got != "persistentvolumeclaims=1" {
			t.Errorf("used %s", got)
		}
	})
}

// A pod that was deleted and doesn't go counts no more after twice its grace.
func TestStuckPodLapses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(resourcequota.New(nil))
		w.Create(controllers.ResourceQuota, quota("q", "pods=5"))
		stuck := pod("stuck")
		stuck.Spec.NodeName, stuck.Finalizers = "lost", []string{"example.com/hold"}
		w.Create(controllers.Pod, stuck)
		w.PatchStatus(controllers.ResourceQuota.Key("prod", "q"), `{"status":{"used":{"pods":"1"}}}`)
		w.Delete(controllers.Pod.Key("prod", "stuck"), "")
		w.Advance(50 * time.Second)
		if got := used(w, "q"); got != "pods=1" {
			t.Errorf("in its grace: used %s", got)
		}
		w.Advance(15 * time.Second)
		if got := used(w, "q"); got != "pods=0" {
			t.Errorf("after it: used %s", got)
		}
	})
}

// Clients that are let in as admission does it, by raising used, and whose pods
// come up to 950 ms later never get past hard; in the end used is what there is.
func TestNeverPastHard(t *testing.T) {
	for seed := range controllertest.Seeds(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { neverPastHard(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func neverPastHard(t *testing.T, r *rand.Rand) {
	w := controllertest.NewWorld(t)
	defer w.Stop()
	w.Run(resourcequota.New(nil))
	w.Create(controllers.ResourceQuota, quota("q", "pods=5"))
	w.Settle()
	key := controllers.ResourceQuota.Key("prod", "q")
	var coming []time.Time // when pods that were let in are created
	made, refused, most := 0, 0, 0
	for range 300 {
		w.Advance(time.Duration(r.IntN(200)) * time.Millisecond)
		for len(coming) > 0 && !time.Now().Before(coming[0]) {
			coming = coming[1:]
			if r.IntN(8) == 0 {
				continue // let in, and then it failed
			}
			made++
			w.Create(controllers.Pod, pod(fmt.Sprintf("p%d", made)))
		}
		w.Settle()
		now := controllertest.Get[*corev1.ResourceQuota](w, key).Status.Used[corev1.ResourcePods]
		switch n := now.Value(); {
		case r.IntN(3) == 0: // somebody deletes one
			for p := range projections.List[*corev1.Pod](w.Snapshot(), "", "pods", "prod") {
				w.Delete(controllers.Pod.Key("prod", p.Name), "")
				break
			}
		case n < 5:
			w.PatchStatus(key, `{"status":{"used":{"pods":"%d"}}}`, n+1)
			coming = append(coming, time.Now().Add(time.Duration(r.IntN(750))*time.Millisecond))
			slices.SortFunc(coming, time.Time.Compare)
		default:
			refused++
		}
		w.Settle()
		most = max(most, w.Snapshot().Len("", "pods"))
		if w.Snapshot().Len("", "pods") > 5 {
			t.Fatalf("%d pods", w.Snapshot().Len("", "pods"))
		}
	}
	w.Advance(5 * time.Second)
	if got, want := used(w, "q"), fmt.Sprintf("pods=%d", w.Snapshot().Len("", "pods")); got != want {
		t.Errorf("in the end used %s, want %s", got, want)
	}
	if made < 20 || refused == 0 {
		t.Errorf("%d made, %d refused, at most %d at once: the test shows nothing", made, refused, most)
	}
}
