package gateway

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestPKI: keys stay, and certificates too until they are near their end or a
// name is missing.
func TestPKI(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	now := time.Now()
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	made := func(names []string, at time.Time) (ca, key, serving, admin string) {
		t.Helper()
		if _, err := makePKI(dir, names, at); err != nil {
			t.Fatal(err)
		}
		return read("ca.crt"), read("apiserver.key"), read("apiserver.crt"), read("admin.crt")
	}
	ca, key, serving, admin := made([]string{"localhost", "10.0.0.1"}, now)

	ca2, key2, serving2, admin2 := made([]string{"localhost"}, now.Add(24*time.Hour))
	if ca2 != ca || key2 != key || serving2 != serving || admin2 != admin {
		t.Error("something was made again without need")
	}
	ca3, key3, serving3, admin3 := made([]string{"localhost", "10.0.0.2"}, now)
	if ca3 != ca || key3 != key || admin3 != admin {
		t.Error("a new address changed more than the serving certificate")
	}
	if serving3 == serving {
		t.Error("the serving certificate lacks the new address")
	}
	ca4, _, serving4, admin4 := made([]string{"localhost", "10.0.0.2"}, now.Add(certLife-renewLeft+time.Hour))
	if ca4 != ca || serving4 == serving3 || admin4 == admin {
		t.Error("certificates near their end must be renewed, the authority not")
	}
	for _, name := range []string{"ca.key", "sa.key", "admin.key", "front-proxy-client.key"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
}
