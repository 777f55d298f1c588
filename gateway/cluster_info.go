package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/cluster-bootstrap/token/api"
)

// clusterInfoRole is what lets everybody read cluster-info; kubeadm's name for it.
const clusterInfoRole = "kubeadm:bootstrap-signer-clusterinfo"

// clusterInfo is the config map cluster-info in kube-public, as kubeadm makes it:
// where the API is and by which authority to know it, for machines that want to
// join. Everybody may read it; who has a bootstrap token can tell by the signature
// (controllers/bootstrap) that it's the right one.
type clusterInfo struct {
	client kubernetes.Interface
	alone  bool // the address is this server's; otherwise what is there stays
	server string
	ca     []byte
}

// tellClusterInfo makes cluster-info once the server answers.
func (s *Server) tellClusterInfo(server *genericapiserver.GenericAPIServer, client kubernetes.Interface, advertised net.IP, port int) error {
	ca, err := os.ReadFile(pki{filepath.Join(s.options.Dir, "pki")}.path("ca.crt"))
	if err != nil {
		return fmt.Errorf("read the cluster's CA: %w", err)
	}
	info := clusterInfo{client: client, alone: s.options.Servers == 1, server: "https://" + net.JoinHostPort(advertised.String(), fmt.Sprint(port)), ca: ca}
	server.AddPostStartHookOrDie("tell-cluster-info", func(hook genericapiserver.PostStartHookContext) error {
		go info.make(hook) // ends with the server; nobody waits for it
		return nil
	})
	return nil
}

// make tries until everything is there. A failure has no event to wait for: a
// webhook may be down, another server may write at the same time.
func (c clusterInfo) make(ctx context.Context) {
	again := wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Steps: 10, Cap: time.Minute}
	err := wait.ExponentialBackoffWithContext(ctx, again, func(ctx context.Context) (bool, error) {
		err := c.try(ctx)
		if err != nil {
			slog.Debug("cluster-info", "error", err)
		}
		return err == nil, nil
	})
	if err != nil && ctx.Err() == nil {
		slog.Warn("the config map kube-public/cluster-info couldn't be made: machines can't find the cluster by it", "error", err)
	}
}

func (c clusterInfo) try(ctx context.Context) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespacePublic}}
	_, err := c.client.CoreV1().Namespaces().Get(ctx, namespace.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = c.client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
	}
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	maps := c.client.CoreV1().ConfigMaps(namespace.Name)
	have, err := maps.Get(ctx, api.ConfigMapClusterInfo, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return c.create(ctx)
	}
	if err != nil {
		return err
	}
	content, err := c.kubeconfig(have.Data[api.KubeConfigKey])
	if err != nil || have.Data[api.KubeConfigKey] == content {
		return err
	}
	if have.Data == nil {
		have.Data = map[string]string{}
	}
	have.Data[api.KubeConfigKey] = content
	_, err = maps.Update(ctx, have, metav1.UpdateOptions{})
	return err
}

// create makes it and lets everybody read it, the config map last: once that is
// there, who took the binding away to close the cluster meant it.
func (c clusterInfo) create(ctx context.Context) error {
	content, err := c.kubeconfig("")
	if err != nil {
		return err
	}
	meta := metav1.ObjectMeta{Name: clusterInfoRole, Namespace: metav1.NamespacePublic}
	_, err = c.client.RbacV1().Roles(meta.Namespace).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
		Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{api.ConfigMapClusterInfo},
	}}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	_, err = c.client.RbacV1().RoleBindings(meta.Namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: clusterInfoRole},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user.Anonymous}},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	_, err = c.client.CoreV1().ConfigMaps(meta.Namespace).Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: api.ConfigMapClusterInfo},
		Data:       map[string]string{api.KubeConfigKey: content},
	}, metav1.CreateOptions{})
	return err
}

// kubeconfig is the one that names the cluster and nobody's credentials. Of several
// servers the first one's address stays, or a balancer's that somebody put there.
func (c clusterInfo) kubeconfig(have string) (string, error) {
	cluster := &clientcmdapi.Cluster{Server: c.server, CertificateAuthorityData: c.ca}
	if old, err := clientcmd.Load([]byte(have)); err == nil && !c.alone {
		if was := old.Clusters[""]; was != nil && was.Server != "" {
			cluster.Server = was.Server
		}
	}
	data, err := clientcmd.Write(clientcmdapi.Config{Clusters: map[string]*clientcmdapi.Cluster{"": cluster}})
	if err != nil {
		return "", fmt.Errorf("encode cluster-info: %w", err)
	}
	return string(data), nil
}
