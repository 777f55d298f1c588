package store

import (
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections/sealed"
)

func newKeyring(t *testing.T) *sealed.Keyring {
	t.Helper()
	dir := t.TempDir()
	key, err := sealed.ClusterKey(filepath.Join(dir, "cluster.key"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := sealed.NewFileStore(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := sealed.NewKeyring(key, files)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestWithheldSecretsAreShownWithoutValues(t *testing.T) {
	ctx, key, kind := t.Context(), events.Key{Resource: "secrets", Namespace: "default", Name: "s"}, schema.GroupResource{Resource: "secrets"}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "s", UID: "u"}, Data: map[string][]byte{"k": []byte("hidden")}}
	there, err := SealSecrets(newKeyring(t))(kind).Seal(ctx, key, secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	here := WithheldSecrets(newKeyring(t))(kind)
	open := func(stored any) *corev1.Secret {
		t.Helper()
		value, _, err := here.Open(ctx, key, stored.(*corev1.Secret))
		if err != nil {
			t.Fatal(err)
		}
		return value.(*corev1.Secret)
	}
	shown := open(there)
	if v, ok := shown.Data["k"]; !ok || len(v) != 0 || shown.Annotations[AnnotationWithheld] == "" {
		t.Errorf("it is shown as %+v", shown)
	}
	shown.Labels, shown.Data["new"] = map[string]string{"a": "b"}, []byte("value")
	changed, err := here.Seal(ctx, key, shown, there)
	if err != nil {
		t.Fatal(err)
	}
	if got := open(changed); string(got.Data["new"]) != "value" || len(got.Data["k"]) != 0 || got.Annotations[AnnotationWithheld] != "" || got.Labels["a"] != "b" {
		t.Errorf("after a change it is %+v", got)
	}
	if changed.(*corev1.Secret).Data["new"] == nil || string(changed.(*corev1.Secret).Data["new"]) == "value" {
		t.Error("a value made here isn't sealed")
	}
	if WithheldSecrets(newKeyring(t))(schema.GroupResource{Resource: "configmaps"}) != nil {
		t.Error("config maps are sealed")
	}
}
