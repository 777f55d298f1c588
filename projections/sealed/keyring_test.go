package sealed

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reckon-project/reckon/events"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

func keyring(t testing.TB, dir string) *Keyring {
	t.Helper()
	key, err := ClusterKey(filepath.Join(dir, "cluster.key"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := NewFileStore(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewKeyring(key, store)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func secret(uid string, data map[string]string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Name: "s", Namespace: "default", UID: types.UID(uid),
		Annotations: map[string]string{LastApplied: `{"data":"hunter2"}`, "other": "plain"},
	}, Data: map[string][]byte{}}
	for k, v := range data {
		s.Data[k] = []byte(v)
	}
	return s
}

func TestASecretIsSealedOpenedAndForgotten(t *testing.T) {
	dir := t.TempDir()
	k := keyring(t, dir)
	plain := secret("u1", map[string]string{"password": "hunter2", "user": "admin"})

	first, err := k.Seal(plain, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(first)
	if strings.Contains(string(text), "hunter2") || bytes.Contains(first.Data["password"], []byte("hunter2")) {
		t.Fatalf("the sealed secret shows its value: %s", text)
	}
	if string(plain.Data["password"]) != "hunter2" || first.Annotations["other"] != "plain" {
		t.Fatal("Seal changed what it shouldn't")
	}

	// A change of one value keeps the other's envelope, and the annotation's.
	changed := plain.DeepCopy()
	changed.Data["password"] = []byte("correct horse")
	second, err := k.Seal(changed, first)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Data["user"], second.Data["user"]) || first.Annotations[LastApplied] != second.Annotations[LastApplied] {
		t.Error("an unchanged value got another envelope")
	}
	if bytes.Equal(first.Data["password"], second.Data["password"]) {
		t.Error("a changed value kept its envelope")
	}
	again, err := k.Seal(second, second)
	if err != nil || !bytes.Equal(again.Data["user"], second.Data["user"]) {
		t.Errorf("sealing what is sealed changed it: %v", err)
	}

	// Another process with the same files opens both versions.
	k = keyring(t, dir)
	for _, c := range []struct{ sealed, want *corev1.Secret }{{first, plain}, {second, changed}} {
		got, err := k.Open(c.sealed)
		if err != nil {
			t.Fatal(err)
		}
		if string(got.Data["password"]) != string(c.want.Data["password"]) || got.Annotations[LastApplied] != c.want.Annotations[LastApplied] {
			t.Errorf("opened %v, want %v", got, c.want)
		}
	}

	// A value that was moved doesn't open.
	moved := first.DeepCopy()
	moved.Data["user"] = moved.Data["password"]
	if _, err := k.Open(moved); !errors.Is(err, events.ErrInvalid) {
		t.Errorf("a moved value opened: %v", err)
	}

	if err := k.Destroy("u1"); err != nil {
		t.Fatal(err)
	}
	if err := k.Destroy("u1"); err != nil {
		t.Fatalf("a second Destroy: %v", err)
	}
	got, err := k.Open(first)
	if !errors.Is(err, ErrDestroyed) || !errors.Is(err, events.ErrGone) {
		t.Errorf("opened after Destroy: %v", err)
	}
	if len(got.Data) != 2 || len(got.Data["password"]) != 0 || got.Annotations["other"] != "plain" || got.Annotations[LastApplied] != "" {
		t.Errorf("redacted: %v", got)
	}
	if _, err := k.Seal(changed, second); !errors.Is(err, ErrDestroyed) {
		t.Errorf("an update after Destroy was sealed with a new key: %v", err)
	}
	left, err := os.ReadDir(filepath.Join(dir, "keys"))
	if err != nil || len(left) != 0 {
		t.Errorf("left in the key store: %v %v", left, err)
	}
}

func TestTheClusterKeyIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "cluster.key")
	key, err := ClusterKey(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || len(key) != 32 {
		t.Fatalf("created as %v, %d bytes: %v", info.Mode(), len(key), err)
	}
	if again, err := ClusterKey(path); err != nil || !bytes.Equal(again, key) {
		t.Errorf("read again: %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ClusterKey(path); !errors.Is(err, events.ErrInvalid) {
		t.Errorf("a key that others may read was accepted: %v", err)
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ClusterKey(path); !errors.Is(err, events.ErrInvalid) {
		t.Errorf("a short key was accepted: %v", err)
	}
}

func TestAnotherClusterKeyOpensNothing(t *testing.T) {
	dir := t.TempDir()
	sealed, err := keyring(t, dir).Seal(secret("u1", map[string]string{"a": "b"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "cluster.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring(t, dir).Open(sealed); !errors.Is(err, events.ErrInvalid) || errors.Is(err, ErrDestroyed) {
		t.Errorf("opened with another cluster key: %v", err)
	}
}

func TestWhatIsSealedOpensToTheSame(t *testing.T) {
	k := keyring(t, t.TempDir())
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.MapOf(rapid.StringMatching(`[a-z.]{1,8}`), rapid.SliceOfN(rapid.Byte(), 0, 64)).Draw(t, "data")
		plain := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s", UID: "u"}, Data: data}
		sealed, err := k.Seal(plain, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.Open(sealed)
		if err != nil {
			t.Fatal(err)
		}
		for key, value := range data {
			if !bytes.Equal(got.Data[key], value) {
				t.Fatalf("%s is %q, was %q", key, got.Data[key], value)
			}
		}
	})
}
