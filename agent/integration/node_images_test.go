package integration

import (
	"encoding/base64"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/agent"
	"github.com/reckon-project/reckon/agent/cri"
	"github.com/reckon-project/reckon/agent/eviction"
	"github.com/reckon-project/reckon/agent/image"
	"github.com/reckon-project/reckon/agent/pod"
)

// newRegistry serves a registry that asks for a password, with a busybox image
// in it, and gives the image's name.
func newRegistry(t *testing.T, user, password string) string {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(t.Output(), "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, ok := r.BasicAuth(); !ok || u != user || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	img, err := image.Build(image.Spec{Path: "/bin/busybox", Arch: "amd64", Links: links("sh", "sleep", "echo")})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewTag(strings.TrimPrefix(server.URL, "http://") + "/team/private:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithAuth(&authn.Basic{Username: user, Password: password})); err != nil {
		t.Fatal(err)
	}
	return ref.Name()
}

func waitsFor(reasons ...string) func(v1.PodStatus) bool {
	return func(s v1.PodStatus) bool {
		return len(s.ContainerStatuses) > 0 && s.ContainerStatuses[0].State.Waiting != nil && slices.Contains(reasons, s.ContainerStatuses[0].State.Waiting.Reason)
	}
}

func TestNodeImages(t *testing.T) {
	n := newNode(t)
	n.halt()
	n.options.Upkeep.LogSize, n.options.Upkeep.EvictionPeriod = 2000, 100*time.Millisecond
	n.start()
	private := newRegistry(t, "me", "right")
	chatty := n.run(newPod("chatty", "/bin/sh", "-c", "while true; do echo a line that makes the log grow; sleep 0.02; done"))

	auth := base64.StdEncoding.EncodeToString([]byte("me:right"))
	host, _, _ := strings.Cut(private, "/")
	secret := &v1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "let-me-in", UID: "s1"},
		Data: map[string][]byte{v1.DockerConfigJsonKey: fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, host, auth)}}
	n.put("secrets", secret)
	with := newPod("with", "/bin/sleep", "1000")
	with.Spec.Containers[0].Image = private
	with.Spec.ImagePullSecrets = []v1.LocalObjectReference{{Name: "let-me-in"}}
	n.run(with)
	_, facts := n.await(with, "ready", isReady)
	told := ""
	for _, f := range facts {
		told += f.Note + "\n"
	}
	for _, want := range []string{fmt.Sprintf("Pulling image %q\n", private), fmt.Sprintf("Successfully pulled image %q in ", private), " including waiting). Image size: "} {
		if !strings.Contains(told, want) {
			t.Errorf("%q isn't told: %s", want, told)
		}
	}

	// The image is there now, but only for those who may pull it.
	without := newPod("without", "/bin/sleep", "1000")
	without.Spec.Containers[0].Image = private
	n.run(without)
	n.await(without, "kept from the image", waitsFor("ErrImagePull", "ImagePullBackOff"))
	never := newPod("never", "/bin/sleep", "1000")
	never.Spec.Containers[0].Image, never.Spec.Containers[0].ImagePullPolicy = private, v1.PullNever
	n.run(never)
	n.await(never, "kept from the image", waitsFor("ErrImageNeverPull"))

	n.await(chatty, "ready", isReady)
	path := filepath.Join(pod.LogDir(n.options.Dir, chatty), pod.LogPath("main", 0))
	n.until("a log is put aside", func() bool {
		found, err := filepath.Glob(path + ".*")
		return err == nil && len(found) > 0
	})

	// What nobody uses any more goes when the disk is short, what was imported stays.
	for _, p := range []*v1.Pod{with, without, never} {
		n.remove(p)
	}
	n.gone(with)
	n.halt()
	n.options.Upkeep.Images.MinAge = time.Nanosecond
	n.options.Upkeep.Eviction = eviction.Settings{Hard: map[string]string{"nodefs.available": "100Pi"}} // more than there can be
	n.start()
	n.await(chatty, "evicted", phaseIs(v1.PodFailed))
	status := n.awaitNode("short of disk", func(s v1.NodeStatus) bool { return condition(s, v1.NodeDiskPressure).Status == v1.ConditionTrue })
	if c := condition(status, v1.NodeDiskPressure); c.Reason != "KubeletHasDiskPressure" {
		t.Errorf("its disk is %+v", c)
	}
	n.until("the image is removed", func() bool { return !slices.Contains(n.images(), private) })
	if names := n.images(); !slices.Contains(names, busybox) {
		t.Errorf("the images that are left are %q", names)
	}
}

// images gives the names of the images that containerd has.
func (n *node) images() (names []string) {
	n.t.Helper()
	client, err := cri.Dial(agent.Layout(n.options).Address())
	if err != nil {
		n.t.Fatal(err)
	}
	defer client.Close()
	images, err := client.ListImages(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	for _, i := range images {
		names = append(names, i.RepoTags...)
	}
	return names
}
