package sealed_test

import (
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	"github.com/reckon-project/reckon/projections/sealed"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The chain is over sealed values, so a log can be verified after the key of a
// secret in it is destroyed.
func TestVerifyPassesAfterASecretIsForgotten(t *testing.T) {
	ctx := t.Context()
	cluster := make([]byte, 32)
	key, err := sealed.SigningKey(cluster)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sealed.NewFileStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ring, err := sealed.NewKeyring(cluster, store)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := ring.Seal(&corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "default", UID: "u1"}, Data: map[string][]byte{"password": []byte("hunter2")},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := events.EncodeObject(secret)
	if err != nil {
		t.Fatal(err)
	}
	b := memory.New(time.Now)
	k := events.Key{Resource: "secrets", Namespace: "default", Name: "s"}
	for _, e := range []*events.Event{
		{Type: events.Created, ContentType: events.ContentObject, Data: data},
		{Type: events.Deleted},
	} {
		e.Prefix, e.Key, e.ID, e.Source, e.Time = events.PrefixDecision, k, bus.NewID(), "test", time.Now()
		if _, err := b.Log().Append(ctx, bus.Entry{Event: e}); err != nil {
			t.Fatal(err)
		}
	}
	if err := ring.Destroy("u1"); err != nil {
		t.Fatal(err)
	}
	report, err := projections.Verify(ctx, b.Log(), b.Blobs(), key.Public().(ed25519.PublicKey), projections.VerifyOptions{})
	if err != nil || !report.OK() || report.Last != 2 || report.Voids != 0 {
		t.Errorf("%+v %v", report, err)
	}
}
