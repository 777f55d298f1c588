package gateway_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/gateway"
	"github.com/reckon-project/reckon/gateway/gatewaytest"
)

// findCluster reads cluster-info as somebody whom nobody knows.
func findCluster(t *testing.T, c *gatewaytest.Cluster) *clusterFound {
	t.Helper()
	stranger := client(t, rest.AnonymousClientConfig(c.Admin))
	var found *clusterFound
	eventually(t, "anybody can read cluster-info", func(ctx context.Context) (bool, error) {
		m, err := stranger.CoreV1().ConfigMaps("kube-public").Get(ctx, "cluster-info", metav1.GetOptions{})
		if err != nil {
			return false, nil
		}
		config, err := clientcmd.Load([]byte(m.Data["kubeconfig"]))
		if err != nil {
			return false, err
		}
		found = &clusterFound{stranger: stranger, server: config.Clusters[""].Server, ca: config.Clusters[""].CertificateAuthorityData, more: m.Data["more"]}
		return true, nil
	})
	return found
}

type clusterFound struct {
	stranger     *kubernetes.Clientset
	server, more string
	ca           []byte
}

func portOf(url string) string { return url[strings.LastIndexByte(url, ':')+1:] }

func testClusterInfo(t *testing.T, c *gatewaytest.Cluster, _ *kubernetes.Clientset) {
	found := findCluster(t, c)
	if portOf(found.server) != portOf(c.Admin.Host) || string(found.ca) != string(c.Admin.CAData) {
		t.Errorf("the cluster is at %s, want %s", found.server, c.Admin.Host)
	}
	if _, err := found.stranger.CoreV1().ConfigMaps("kube-public").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a stranger lists the config maps: %v", err)
	}
}

func TestClusterInfoAtTheNextStart(t *testing.T) {
	for _, servers := range []int{1, 3} {
		t.Run(fmt.Sprintf("of %d servers", servers), func(t *testing.T) {
			b, dir := memory.New(time.Now), t.TempDir()
			change := func(o *gateway.Options) { o.Servers = servers }
			var first string
			t.Run("first", func(t *testing.T) {
				c := gatewaytest.StartOn(t, b, dir, change)
				first = findCluster(t, c).server
				admin := client(t, c.Admin)
				m := must(admin.CoreV1().ConfigMaps("kube-public").Get(t.Context(), "cluster-info", metav1.GetOptions{}))(t)
				m.Data["more"] = "kept"
				must(admin.CoreV1().ConfigMaps("kube-public").Update(t.Context(), m, metav1.UpdateOptions{}))(t)
			})
			// Another port than the first time.
			taken, err := net.Listen("tcp", "127.0.0.1:"+portOf(first))
			if err != nil {
				t.Fatal(err)
			}
			defer taken.Close()
			c := gatewaytest.StartOn(t, b, dir, change)
			want := portOf(c.Admin.Host)
			if servers > 1 {
				want = portOf(first)
			}
			eventually(t, "cluster-info is right again", func(context.Context) (bool, error) {
				found := findCluster(t, c)
				return portOf(found.server) == want && found.more == "kept", nil
			})
		})
	}
}
