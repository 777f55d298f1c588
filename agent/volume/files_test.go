package volume

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"
)

// cluster is a feed with what volumes of files are made of.
type cluster struct {
	objects
	configMaps map[string]*v1.ConfigMap
	secrets    map[string]*v1.Secret
	bundles    []*certificatesv1.ClusterTrustBundle
}

func (c *cluster) ConfigMap(_, name string) (*v1.ConfigMap, bool) {
	o, ok := c.configMaps[name]
	return o, ok
}

func (c *cluster) Secret(_, name string) (*v1.Secret, bool) {
	o, ok := c.secrets[name]
	return o, ok
}
func (c *cluster) TrustBundles() []*certificatesv1.ClusterTrustBundle { return c.bundles }

// issuer gives tokens of an hour, numbered.
type issuer struct {
	clock *testclock.FakeClock
	n     int
	down  bool
}

func (i *issuer) Token(_ context.Context, _ *v1.Pod, audience string, seconds int64) (string, time.Time, error) {
	if i.down {
		return "", time.Time{}, fmt.Errorf("the API is away")
	}
	i.n++
	return fmt.Sprintf("%s-%d", audience, i.n), i.clock.Now().Add(time.Duration(seconds) * time.Second), nil
}

func ptr[T any](v T) *T { return &v }

func TestWhichKeysAndModesFilesHave(t *testing.T) {
	c := &cluster{configMaps: map[string]*v1.ConfigMap{"c": {Data: map[string]string{"a": "1", "b": "2"}, BinaryData: map[string][]byte{"bin": {0}}}},
		secrets: map[string]*v1.Secret{"s": {Data: map[string][]byte{"k": []byte("v")}}}}
	m := &Manager{Objects: c}
	items := []v1.KeyToPath{{Key: "a", Path: "x/a", Mode: ptr(int32(0o400))}, {Key: "absent", Path: "y"}}
	for name, tc := range map[string]struct {
		source v1.VolumeSource
		want   string // the files, or the error
	}{
		"all keys":       {configMap("c", nil, false), "a=1:644 b=2:644 bin=\x00:644"},
		"items":          {configMap("c", items[:1], false), "x/a=1:400"},
		"no such key":    {configMap("c", items, false), "configmap references non-existent config key: absent"},
		"it is optional": {configMap("c", items, true), "x/a=1:400"},
		"no such map":    {configMap("d", nil, false), `configmap "d" not found`},
		"nor needed":     {configMap("d", items, true), ""},
		"a secret":       {v1.VolumeSource{Secret: &v1.SecretVolumeSource{SecretName: "s", DefaultMode: ptr(int32(0o440))}}, "k=v:440"},
		"no such secret": {v1.VolumeSource{Secret: &v1.SecretVolumeSource{SecretName: "t"}}, `secret "t" not found`},
		"nor its key":    {v1.VolumeSource{Secret: &v1.SecretVolumeSource{SecretName: "s", Items: items}}, "references non-existent secret key: a"},
		"out of it":      {configMap("c", []v1.KeyToPath{{Key: "a", Path: "../a"}}, false), `path "../a" leaves the volume`},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := m.files(t.Context(), podOf(tc.source), &v1.Volume{Name: "d", VolumeSource: tc.source})
			text := show(got)
			if err != nil {
				text = err.Error()
			}
			if text != tc.want {
				t.Errorf("it is %q, not %q", text, tc.want)
			}
		})
	}
}

func configMap(name string, items []v1.KeyToPath, optional bool) v1.VolumeSource {
	return v1.VolumeSource{ConfigMap: &v1.ConfigMapVolumeSource{LocalObjectReference: v1.LocalObjectReference{Name: name}, Items: items, Optional: &optional}}
}

func show(f files) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		out = append(out, fmt.Sprintf("%s=%s:%o", name, f[name].data, f[name].mode))
	}
	return strings.Join(out, " ")
}

func projected(sources ...v1.VolumeProjection) v1.VolumeSource {
	return v1.VolumeSource{Projected: &v1.ProjectedVolumeSource{Sources: sources}}
}

// A token is asked for anew when a fifth of its life, or a day, is left of it.
func TestTokensAreNewBeforeTheyExpire(t *testing.T) {
	clock := testclock.NewFakeClock(time.Unix(1000, 0))
	from := &issuer{clock: clock}
	m := &Manager{Objects: &cluster{}, Tokens: from, Clock: clock}
	pod := podOf(projected(v1.VolumeProjection{ServiceAccountToken: &v1.ServiceAccountTokenProjection{Path: "token", Audience: "vault", ExpirationSeconds: ptr(int64(1000))}}))
	for _, step := range []struct {
		wait time.Duration
		down bool
		want string
	}{
		{0, false, "vault-1"},
		{799 * time.Second, false, "vault-1"},
		{time.Second, true, "vault-1"},
		{time.Second, false, "vault-2"},
		{time.Second, false, "vault-2"},
		{1000 * time.Second, true, "failed to fetch token: the API is away"},
		{0, false, "vault-3"},
	} {
		clock.Step(step.wait)
		from.down = step.down
		f, memory, err := m.files(t.Context(), pod, &pod.Spec.Volumes[0])
		got := string(f["token"].data)
		if err != nil {
			got = err.Error()
		}
		if got != step.want || !memory {
			t.Errorf("after %s it is %q, not %q", step.wait, got, step.want)
		}
	}
	m.forget("pod")
	if len(m.tokens) != 0 {
		t.Error("tokens of a pod that is gone are kept")
	}
}

// Who may read a token: the user that all containers run as, or the pod's group,
// and everybody in the pod when neither is known.
func TestWhoMayReadATokensFile(t *testing.T) {
	clock := testclock.NewFakeClock(time.Unix(1000, 0))
	for name, c := range map[string]struct {
		change func(*v1.Pod)
		mode   int32
		user   int64
	}{
		"unknown users": {func(*v1.Pod) {}, 0o644, -1},
		"one user":      {func(p *v1.Pod) { p.Spec.SecurityContext.RunAsUser = ptr(int64(7)) }, 0o600, 7},
		"each its user": {func(p *v1.Pod) { p.Spec.Containers[1].SecurityContext = &v1.SecurityContext{RunAsUser: ptr(int64(8))} }, 0o644, -1},
		"a group":       {func(p *v1.Pod) { p.Spec.SecurityContext.FSGroup = ptr(int64(9)) }, 0o600, -1},
		"one of two users": {func(p *v1.Pod) {
			p.Spec.SecurityContext.RunAsUser = ptr(int64(7))
			p.Spec.Containers[1].SecurityContext = &v1.SecurityContext{RunAsUser: ptr(int64(8))}
		}, 0o644, -1},
	} {
		t.Run(name, func(t *testing.T) {
			pod := podOf(projected(v1.VolumeProjection{ServiceAccountToken: &v1.ServiceAccountTokenProjection{Path: "token"}}))
			pod.Spec.SecurityContext, pod.Spec.Containers = &v1.PodSecurityContext{}, make([]v1.Container, 2)
			c.change(pod)
			m := &Manager{Objects: &cluster{}, Tokens: &issuer{clock: clock}, Clock: clock}
			f, _, err := m.files(t.Context(), pod, &pod.Spec.Volumes[0])
			if err != nil {
				t.Fatal(err)
			}
			user := int64(-1)
			if f["token"].user != nil {
				user = *f["token"].user
			}
			if f["token"].mode != c.mode || user != c.user {
				t.Errorf("its mode is %o and its user %d", f["token"].mode, user)
			}
		})
	}
}

func TestTrustBundles(t *testing.T) {
	anchor := func(text string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(text)}))
	}
	bundle := func(name, signer, text string, labels map[string]string) *certificatesv1.ClusterTrustBundle {
		return &certificatesv1.ClusterTrustBundle{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
			Spec: certificatesv1.ClusterTrustBundleSpec{SignerName: signer, TrustBundle: text}}
	}
	m := &Manager{Objects: &cluster{bundles: []*certificatesv1.ClusterTrustBundle{
		bundle("plain", "", "a comment\n"+anchor("B")+anchor("A")+anchor("B"), nil),
		bundle("x:1", "example.com/x", anchor("C"), map[string]string{"use": "yes"}),
		bundle("x:2", "example.com/x", anchor("A")+anchor("C"), map[string]string{"use": "yes"}),
		bundle("x:3", "example.com/x", anchor("D"), nil),
	}}}
	all, some := &metav1.LabelSelector{}, &metav1.LabelSelector{MatchLabels: map[string]string{"use": "yes"}}
	for name, c := range map[string]struct {
		source v1.ClusterTrustBundleProjection
		want   string
	}{
		"by name":          {v1.ClusterTrustBundleProjection{Name: ptr("plain")}, anchor("A") + anchor("B")},
		"no such name":     {v1.ClusterTrustBundleProjection{Name: ptr("none")}, `while getting ClusterTrustBundle: clustertrustbundle "none" not found`},
		"nor needed":       {v1.ClusterTrustBundleProjection{Name: ptr("none"), Optional: ptr(true)}, ""},
		"by signer":        {v1.ClusterTrustBundleProjection{SignerName: ptr("example.com/x"), LabelSelector: all}, anchor("A") + anchor("C") + anchor("D")},
		"by labels":        {v1.ClusterTrustBundleProjection{SignerName: ptr("example.com/x"), LabelSelector: some}, anchor("A") + anchor("C")},
		"without selector": {v1.ClusterTrustBundleProjection{SignerName: ptr("example.com/x")}, "combination of signerName and labelSelector matched zero ClusterTrustBundles"},
		"another signer":   {v1.ClusterTrustBundleProjection{SignerName: ptr("example.com/y"), LabelSelector: all, Optional: ptr(true)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.source.Path = "ca.pem"
			pod := podOf(projected(v1.VolumeProjection{ClusterTrustBundle: &c.source}))
			f, _, err := m.files(t.Context(), pod, &pod.Spec.Volumes[0])
			got := string(f["ca.pem"].data)
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("it is %q", got)
			}
			if _, there := f["ca.pem"]; err == nil && !there {
				t.Error("there is no file")
			}
		})
	}
}

func TestHostPathsAreOfTheirType(t *testing.T) {
	dir := t.TempDir()
	file, socket := filepath.Join(dir, "file"), filepath.Join(dir, "socket")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	check := func(path string, kind v1.HostPathType) string {
		if err := checkHostPath(&v1.HostPathVolumeSource{Path: path, Type: &kind}); err != nil {
			return strings.ReplaceAll(err.Error(), dir, "")
		}
		return ""
	}
	for _, c := range []struct {
		path string
		kind v1.HostPathType
		want string
	}{
		{"none", "", ""},
		{"", v1.HostPathDirectory, ""},
		{"file", v1.HostPathFile, ""},
		{"socket", v1.HostPathSocket, ""},
		{"new/dir", v1.HostPathDirectoryOrCreate, ""},
		{"new/dir", v1.HostPathDirectory, ""},
		{"new/dir/f", v1.HostPathFileOrCreate, ""},
		{"new/dir/f", v1.HostPathFile, ""},
		{"file", v1.HostPathDirectory, "hostPath type check failed: /file is not a directory, it's a File"},
		{"file", v1.HostPathDirectoryOrCreate, "hostPath type check failed: /file is not a directory, it's a File"},
		{"socket", v1.HostPathFile, "hostPath type check failed: /socket is not a file, it's a Socket"},
		{"file", v1.HostPathSocket, "hostPath type check failed: /file is not a socket file, it's a File"},
		{"", v1.HostPathCharDev, "hostPath type check failed:  is not a character device, it's a Directory"},
		{"file", v1.HostPathBlockDev, "hostPath type check failed: /file is not a block device, it's a File"},
		{"none", v1.HostPathDirectory, "hostPath type check failed, /none is not a directory, unable to determine its type: stat /none: no such file or directory"},
		{"absent/f", v1.HostPathFileOrCreate, "make the hostPath's file: stat /absent: no such file or directory"},
		{"file", "Thing", "Thing is an invalid volume type"},
	} {
		if got := check(filepath.Join(dir, c.path), c.kind); got != c.want {
			t.Errorf("%s as %s: %q, not %q", c.path, c.kind, got, c.want)
		}
	}
	if got := check("/dev/null", v1.HostPathCharDev); got != "" {
		t.Error(got)
	}
}

func TestHowMuchMemoryAnEmptyDirTakes(t *testing.T) {
	node := v1.ResourceList{v1.ResourceMemory: resource.MustParse("8Gi")}
	limit := func(q string) v1.Container {
		if q == "" {
			return v1.Container{}
		}
		return v1.Container{Resources: v1.ResourceRequirements{Limits: v1.ResourceList{v1.ResourceMemory: resource.MustParse(q)}}}
	}
	for name, c := range map[string]struct {
		limits []string
		volume string
		want   string
	}{
		"nothing is said":     {[]string{""}, "", "8Gi"},
		"the volume's":        {[]string{""}, "1Gi", "1Gi"},
		"more than there is":  {[]string{""}, "16Gi", "8Gi"},
		"the pod's":           {[]string{"1Gi", "2Gi"}, "4Gi", "3Gi"},
		"not all are limited": {[]string{"1Gi", ""}, "4Gi", "4Gi"},
		"the least counts":    {[]string{"1Gi", "2Gi"}, "2Gi", "2Gi"},
		"zero is no limit":    {[]string{""}, "0", "8Gi"},
	} {
		t.Run(name, func(t *testing.T) {
			pod, s := &v1.Pod{}, &v1.EmptyDirVolumeSource{}
			for _, q := range c.limits {
				pod.Spec.Containers = append(pod.Spec.Containers, limit(q))
			}
			if c.volume != "" {
				s.SizeLimit = ptr(resource.MustParse(c.volume))
			}
			want := resource.MustParse(c.want)
			if got := memorySize(node, pod, s); got == nil || !got.Equal(want) {
				t.Errorf("it is %v", got)
			}
		})
	}
}

// A volume that is written anew gives its files to the pod's group and user.
func TestFilesHaveTheirGroup(t *testing.T) {
	root := t.TempDir()
	group := int64(os.Getgid())
	if err := writeAtomically(root, files{"f": {data: []byte("x"), mode: 0o600, user: ptr(int64(os.Getuid()))}}, time.Unix(5, 0), &group); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(root, "f"))
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("its mode: %v, %v", info.Mode(), err)
	}
	data, err := os.ReadFile(filepath.Join(root, "f"))
	if err != nil || !bytes.Equal(data, []byte("x")) {
		t.Errorf("it holds %q, %v", data, err)
	}
}
