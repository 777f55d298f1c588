package sealed

import (
	"errors"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestSweepDestroysTheKeysOfWhatIsGone(t *testing.T) {
	store, err := NewFileStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := NewKeyring(make([]byte, 32), store)
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string]*corev1.Secret{}
	for _, uid := range []string{"kept", "gone/1"} {
		stored[uid], err = keys.Seal(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid)}, Data: map[string][]byte{"a": []byte("b")}}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	n, err := keys.Sweep(store, func(uid string) bool { return uid == "kept" })
	if err != nil || n != 1 {
		t.Fatalf("swept %d, %v; want 1", n, err)
	}
	if _, err := keys.Open(stored["gone/1"]); !errors.Is(err, ErrDestroyed) {
		t.Errorf("what is gone still opens: %v", err)
	}
	if _, err := keys.Open(stored["kept"]); err != nil {
		t.Errorf("what is kept doesn't open: %v", err)
	}
	if uids, err := store.UIDs(); err != nil || !slices.Equal(uids, []string{"kept"}) {
		t.Errorf("keys left: %v, %v", uids, err)
	}
}
