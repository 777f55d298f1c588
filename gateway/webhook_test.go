package gateway_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	admissionreviewv1 "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway/gatewaytest"
)

// webhookServer answers admission reviews over HTTPS.
func webhookServer(t *testing.T, answer func(*admissionreviewv1.AdmissionRequest) *admissionreviewv1.AdmissionResponse) (url string, ca []byte) {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionreviewv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			t.Errorf("the webhook was sent no review: %v", err)
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = answer(review.Request)
		review.Response.UID = review.Request.UID
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(review); err != nil {
			t.Errorf("webhook: %v", err)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// onConfigMaps is the rule of a webhook that is asked about config maps of one name.
func onConfigMaps() []admissionv1.RuleWithOperations {
	return []admissionv1.RuleWithOperations{{
		Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
		Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
	}}
}

func selected(by string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"webhook": by}}
}

func testWebhooks(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset) {
	none, fails, ignores := admissionv1.SideEffectClassNone, admissionv1.Fail, admissionv1.Ignore
	mutate, ca := webhookServer(t, func(r *admissionreviewv1.AdmissionRequest) *admissionreviewv1.AdmissionResponse {
		if r.UserInfo.Username != "admin" || r.Name != "mutated" {
			t.Errorf("the webhook was asked about %s of %s", r.Name, r.UserInfo.Username)
		}
		patch := admissionreviewv1.PatchTypeJSONPatch
		return &admissionreviewv1.AdmissionResponse{Allowed: true, PatchType: &patch, Patch: []byte(`[{"op":"add","path":"/data","value":{"by":"webhook"}}]`)}
	})
	refuse, refuseCA := webhookServer(t, func(r *admissionreviewv1.AdmissionRequest) *admissionreviewv1.AdmissionResponse {
		return &admissionreviewv1.AdmissionResponse{Result: &metav1.Status{Message: "the moon is in the wrong phase", Code: http.StatusForbidden}, Warnings: []string{"howling expected"}}
	})
	hook := func(url string, ca []byte) admissionv1.WebhookClientConfig {
		return admissionv1.WebhookClientConfig{URL: &url, CABundle: ca}
	}
	const nobody = "https://127.0.0.1:1" // refuses connections
	registration := admin.AdmissionregistrationV1()
	must(registration.MutatingWebhookConfigurations().Create(t.Context(), &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "mutate"},
		Webhooks: []admissionv1.MutatingWebhook{{
			Name: "mutate.example.com", ClientConfig: hook(mutate, ca), Rules: onConfigMaps(), ObjectSelector: selected("mutate"),
			SideEffects: &none, FailurePolicy: &fails, AdmissionReviewVersions: []string{"v1"},
		}},
	}, metav1.CreateOptions{}))(t)
	must(registration.ValidatingWebhookConfigurations().Create(t.Context(), &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "validate"},
		Webhooks: []admissionv1.ValidatingWebhook{
			{Name: "refuse.example.com", ClientConfig: hook(refuse, refuseCA), Rules: onConfigMaps(), ObjectSelector: selected("refuse"), SideEffects: &none, FailurePolicy: &fails, AdmissionReviewVersions: []string{"v1"}},
			{Name: "fail.example.com", ClientConfig: hook(nobody, nil), Rules: onConfigMaps(), ObjectSelector: selected("fail"), SideEffects: &none, FailurePolicy: &fails, AdmissionReviewVersions: []string{"v1"}},
			{Name: "ignore.example.com", ClientConfig: hook(nobody, nil), Rules: onConfigMaps(), ObjectSelector: selected("ignore"), SideEffects: &none, FailurePolicy: &ignores, AdmissionReviewVersions: []string{"v1"}},
		},
	}, metav1.CreateOptions{}))(t)

	maps := admin.CoreV1().ConfigMaps("default")
	create := func(ctx context.Context, name, by string, dry ...string) (*corev1.ConfigMap, error) {
		return maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"webhook": by}}}, metav1.CreateOptions{DryRun: dry})
	}
	// Each configuration is in force once its informer has it.
	eventually(t, "the mutating webhook is asked", func(ctx context.Context) (bool, error) {
		m, err := create(ctx, "mutated", "mutate", "All")
		return err == nil && m.Data["by"] == "webhook", err
	})
	if m := must(create(t.Context(), "mutated", "mutate"))(t); m.Data["by"] != "webhook" {
		t.Errorf("the object that was made has %v", m.Data)
	}
	if e := must(c.Bus.Log().Last(t.Context(), events.Key{Resource: "configmaps", Namespace: "default", Name: "mutated"}.Subject()))(t); !strings.Contains(string(e.Data), `"by":"webhook"`) {
		t.Errorf("the event has %s", e.Data)
	}

	eventually(t, "the validating webhook is asked", func(ctx context.Context) (bool, error) {
		_, err := create(ctx, "refused", "refuse", "All")
		return err != nil, nil
	})
	_, err := create(t.Context(), "refused", "refuse")
	if want := `admission webhook "refuse.example.com" denied the request: the moon is in the wrong phase`; !apierrors.IsForbidden(err) || err.Error() != want {
		t.Errorf("refused with %v, want %s", err, want)
	}
	if _, err := maps.Get(t.Context(), "refused", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("what was refused is there: %v", err)
	}
	_, err = create(t.Context(), "failed", "fail")
	if !apierrors.IsInternalError(err) || !strings.Contains(err.Error(), `failed calling webhook "fail.example.com"`) {
		t.Errorf("with nobody to ask and policy Fail: %v", err)
	}
	must(create(t.Context(), "ignored", "ignore"))(t)
}
