package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway/gatewaytest"
)

// post creates a pod over HTTP: a parameter makes it go the long way.
type post struct {
	t       *testing.T
	cluster *gatewaytest.Cluster
	client  *http.Client
	format  string
}

func (p post) send(pod *corev1.Pod, query string) (code int, body []byte, header http.Header) {
	p.t.Helper()
	pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	data := must(events.EncodeObject(pod))(p.t)
	if p.format == runtime.ContentTypeProtobuf {
		buf := &bytes.Buffer{}
		if err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(pod, buf); err != nil {
			p.t.Fatal(err)
		}
		data = buf.Bytes()
	}
	req := must(http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.cluster.Admin.Host+"/api/v1/namespaces/default/pods"+query, bytes.NewReader(data)))(p.t)
	req.Header.Set("Content-Type", p.format)
	req.Header.Set("Accept", p.format)
	req.Header.Set("User-Agent", "poster/1.0 ("+p.format+")")
	req.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
	resp := must(p.client.Do(req))(p.t)
	defer resp.Body.Close()
	body = must(io.ReadAll(resp.Body))(p.t)
	return resp.StatusCode, body, resp.Header
}

// made creates a pod and gives its event and the answer, without what differs anyhow.
func (p post) made(pod *corev1.Pod, query string) string {
	p.t.Helper()
	code, body, header := p.send(pod, query)
	if code != http.StatusCreated {
		p.t.Fatalf("%d %s", code, body)
	}
	o, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	answer := o.(*corev1.Pod)
	var version uint64
	must(fmt.Sscan(answer.ResourceVersion, &version))(p.t)
	text := string(must(events.EncodeObject(answer))(p.t))
	for from, to := range map[string]string{
		string(answer.UID): "UID", `"` + answer.Name + `"`: `"NAME"`, `"` + answer.ResourceVersion + `"`: `"VERSION"`,
		answer.CreationTimestamp.UTC().Format(time.RFC3339):     "TIME",
		answer.ManagedFields[0].Time.UTC().Format(time.RFC3339): "TIME",
	} {
		text = strings.ReplaceAll(text, from, to)
	}
	for _, v := range answer.Spec.Volumes {
		text = strings.ReplaceAll(text, `"`+v.Name+`"`, "VOLUME")
	}
	return strings.Join([]string{eventText(p.t, p.cluster, version), text, answer.APIVersion, answer.Kind, header.Get("Content-Type"), header.Get("Cache-Control"), fmt.Sprint(header["Warning"])}, "\n")
}

// What comes over HTTP and looks like what came before gives the same event and
// the same answer as if it hadn't.
func TestShortWayOverHTTP(t *testing.T) {
	c := gatewaytest.Start(t)
	admin := must(kubernetes.NewForConfig(c.Admin))(t)
	must(admin.CoreV1().ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}))(t)
	client := must(rest.HTTPClientFor(c.Admin))(t)
	for _, format := range []string{runtime.ContentTypeJSON, runtime.ContentTypeProtobuf} {
		p := post{t, c, client, format}
		for _, template := range podTemplates() {
			name := func(n string) *corev1.Pod {
				pod := template.DeepCopy()
				pod.Name = template.Name + "-" + n + "-" + format[len(format)-4:]
				return pod
			}
			known := c.Gateway.Shapes()
			p.made(name("a"), "")
			if c.Gateway.Shapes() != known+1 {
				t.Errorf("%s %s: nothing was learnt from the first pod", format, template.Name)
			}
			other := func(n string) *corev1.Pod {
				pod := name(n)
				pod.Spec.Containers[0].Image = "other:2"
				return pod
			}
			long, short := p.made(other("b"), "?timeout=30s"), p.made(other("c"), "")
			if long != short {
				t.Errorf("%s %s: the long way gives\n%s\nthe short one\n%s", format, template.Name, long, short)
			}
			if c.Gateway.Shapes() != known+1 {
				t.Errorf("%s %s: a pod of the first one's shape went the long way", format, template.Name)
			}
			bad := other("d")
			bad.Spec.Containers[0].ImagePullPolicy = "Sometimes"
			for _, pod := range []*corev1.Pod{bad, other("c")} {
				longCode, long, _ := p.send(pod, "?timeout=30s")
				shortCode, short, _ := p.send(pod, "")
				if longCode < 400 || longCode != shortCode || !bytes.Equal(long, short) {
					t.Errorf("%s %s is refused with %d %q the long way, %d %q the short one", format, pod.Name, longCode, long, shortCode, short)
				}
			}
			for i, vary := range variations {
				pod := func(n string) *corev1.Pod {
					pod := name(fmt.Sprint("v", i, n))
					vary(pod)
					return pod
				}
				long := p.made(pod("a"), "?timeout=30s")
				for _, n := range []string{"b", "c"} { // by the second one its shape is known
					if short := p.made(pod(n), ""); long != short {
						t.Errorf("%s %s, variation %d: the long way gives\n%s\nthe short one\n%s", format, template.Name, i, long, short)
					}
				}
			}
		}
	}
}

// variations are pods much like the templates, some of the same shape.
var variations = []func(*corev1.Pod){
	func(p *corev1.Pod) { p.Labels = map[string]string{"app": "b"} },
	func(p *corev1.Pod) { p.Labels = map[string]string{"other": "label"} },
	func(p *corev1.Pod) { p.Labels = map[string]string{} },
	func(p *corev1.Pod) { p.Spec.HostNetwork = true },
	func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = ptr.To(int64(0)) },
	func(p *corev1.Pod) { p.Spec.AutomountServiceAccountToken = ptr.To(false) },
	func(p *corev1.Pod) { p.Spec.Containers[0].Name = "other" },
	func(p *corev1.Pod) { p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "B"}} },
	func(p *corev1.Pod) { p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "A"}, {Name: "B", Value: "1"}} },
	func(p *corev1.Pod) { p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "A"}, {Name: "B", Value: "2"}} },
	func(p *corev1.Pod) { p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80}} },
	func(p *corev1.Pod) {
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80, Protocol: corev1.ProtocolUDP}}
	},
	func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("0")}
	},
	func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}
	},
	func(p *corev1.Pod) { p.Finalizers = []string{"example.com/other"} },
	func(p *corev1.Pod) { p.Spec.SecurityContext = &corev1.PodSecurityContext{} },
	func(p *corev1.Pod) {
		p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: ptr.To(false), SupplementalGroups: []int64{1, 2}}
	},
	func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Thing", Name: "a", UID: "b"}}
	},
	func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"a": "b"} },
}
