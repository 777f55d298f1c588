package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/handlers/negotiation"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/metrics"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/endpoints/responsewriter"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	api "k8s.io/kubernetes/pkg/apis/core"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// mostOfPlain is how many bytes a pod has at most that goes the short way.
const mostOfPlain = 256 << 10

// podDecoders decode a body as upstream's handler does. What a strict one of JSON
// complains about goes the long way, which has the words for it.
var podDecoders = func() map[string]runtime.Decoder {
	out := map[string]runtime.Decoder{}
	for _, m := range legacyscheme.Codecs.SupportedMediaTypes() {
		switch m.MediaType {
		case runtime.ContentTypeJSON:
			out[m.MediaType] = legacyscheme.Codecs.DecoderToVersion(m.StrictSerializer, api.SchemeGroupVersion)
		case runtime.ContentTypeProtobuf:
			out[m.MediaType] = legacyscheme.Codecs.DecoderToVersion(m.Serializer, api.SchemeGroupVersion)
		}
	}
	return out
}()

// plainAccepts are the headers of clients that want a pod as it is.
var plainAccepts = map[string]bool{
	runtime.ContentTypeProtobuf: true, runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON: true,
	runtime.ContentTypeJSON: true, runtime.ContentTypeJSON + ", */*": true,
}

// overHTTP takes the plain ones of the requests that create pods, which are
// authenticated and authorized by then: without parameters, with a name, of a shape
// that the same client has created before. Everything else goes to next.
func (w *shortWay) overHTTP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		parts := w.pods.Load()
		if parts == nil || !plainCreate(r) {
			next.ServeHTTP(rw, r)
			return
		}
		body := make([]byte, r.ContentLength)
		n, err := io.ReadFull(r.Body, body)
		again := *r // the body can be read again
		again.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:n]), r.Body))
		pod := decodePlain(r, body)
		if err != nil || pod == nil {
			next.ServeHTTP(rw, &again)
			return
		}
		shape, known := shapeOf(pod)
		if !known {
			next.ServeHTTP(rw, &again)
			return
		}
		key := shapeKey{r.UserAgent(), shape}
		if fields, ok := w.shapes.Get(key); ok {
			metrics.InstrumentHandlerFunc(http.MethodPost, "", "v1", "pods", "", "resource", metrics.APIServerComponent, false, "", func(rw http.ResponseWriter, r *http.Request) {
				parts.answer(rw, r, pod, fields.(*metav1.ManagedFieldsEntry))
			})(rw, r)
			return
		}
		name := events.Key{Resource: "pods", Namespace: pod.Namespace, Name: pod.Name}
		answer := &metrics.ResponseWriterDelegator{ResponseWriter: rw}
		next.ServeHTTP(responsewriter.WrapForHTTP1Or2(answer), &again)
		if answer.Status() == http.StatusCreated {
			w.learn(key, name)
		}
	})
}

// shapeKey is a client, since its name is the field manager, and the shape of a pod.
type shapeKey struct{ userAgent, shape string }

func plainCreate(r *http.Request) bool {
	info, ok := request.RequestInfoFrom(r.Context())
	return ok && r.Method == http.MethodPost && info.IsResourceRequest && info.Verb == "create" && info.Resource == "pods" &&
		info.APIGroup == "" && info.APIVersion == "v1" && info.Subresource == "" && info.Name == "" && info.Namespace != "" &&
		r.URL.RawQuery == "" && r.ContentLength > 0 && r.ContentLength <= mostOfPlain && r.UserAgent() != "" &&
		r.Header.Get("Content-Encoding") == "" && podDecoders[r.Header.Get("Content-Type")] != nil && plainAccepts[r.Header.Get("Accept")]
}

// decodePlain gives the pod in a body, nil if it isn't a plain one.
func decodePlain(r *http.Request, body []byte) *api.Pod {
	kind := podKind
	o, of, err := podDecoders[r.Header.Get("Content-Type")].Decode(body, &kind, &api.Pod{})
	pod, ok := o.(*api.Pod)
	if err != nil || !ok || *of != podKind || pod.Name == "" || len(pod.ManagedFields) > 0 || len(pod.OwnerReferences) > 1 {
		return nil
	}
	if _, applied := pod.Annotations[corev1.LastAppliedConfigAnnotation]; applied {
		return nil
	}
	info, _ := request.RequestInfoFrom(r.Context())
	if err := rest.EnsureObjectNamespaceMatchesRequestNamespace(info.Namespace, pod); err != nil {
		return nil
	}
	return pod
}

// learn keeps who manages which fields of a pod that was created the long way.
func (w *shortWay) learn(key shapeKey, name events.Key) {
	made, ok := projections.Get[*corev1.Pod](w.log.Snapshot(), name)
	if !ok || len(made.ManagedFields) != 1 {
		return
	}
	entry := &made.ManagedFields[0]
	if entry.Operation == metav1.ManagedFieldsOperationUpdate && entry.Subresource == "" && strings.HasPrefix(key.userAgent, entry.Manager) {
		w.shapes.Add(key, entry.DeepCopy())
	}
}

// answer creates a pod and writes it, or why it is refused.
func (c *podCreates) answer(rw http.ResponseWriter, r *http.Request, pod *api.Pod, fields *metav1.ManagedFieldsEntry) {
	ctx, cancel := context.WithTimeout(r.Context(), createWithin)
	defer cancel()
	who, _ := request.UserFrom(ctx)
	made, err := c.store(request.WithNamespace(ctx, pod.Namespace), who, pod, "", fields)
	if err != nil {
		responsewriters.ErrorNegotiated(err, legacyscheme.Codecs, corev1.SchemeGroupVersion, rw, r)
		return
	}
	responsewriters.WriteObjectNegotiated(legacyscheme.Codecs, negotiation.DefaultEndpointRestrictions, corev1.SchemeGroupVersion, rw, r, http.StatusCreated, made, false)
}
