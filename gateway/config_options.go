package gateway

import (
	"context"
	"fmt"
	"net"
	"path/filepath"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	"k8s.io/kubernetes/pkg/controlplane/reconcilers"
)

// issuer names the issuer of service account tokens.
const issuer = "https://kubernetes.default.svc.cluster.local"

// upstream turns our options into kube-apiserver's.
func (o *Options) upstream(ctx context.Context, listener net.Listener, advertised net.IP, p pki) (options.CompletedOptions, error) {
	none := options.CompletedOptions{}
	u := options.NewServerRunOptions()

	u.SecureServing.Listener = listener
	u.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port
	u.SecureServing.ServerCert.CertKey.CertFile = p.path("apiserver.crt")
	u.SecureServing.ServerCert.CertKey.KeyFile = p.path("apiserver.key")
	u.GenericServerRunOptions.AdvertiseAddress = advertised
	u.GenericServerRunOptions.MaxRequestsInFlight = 3000
	u.GenericServerRunOptions.MaxMutatingRequestsInFlight = 3000

	u.GenericServerRunOptions.ShutdownWatchTerminationGracePeriod = o.StopTimeout

	u.Authentication.ClientCert.ClientCA = p.path("ca.crt")
	u.Authentication.RequestHeader.ClientCAFile = p.path("front-proxy-ca.crt")
	u.Authentication.RequestHeader.AllowedNames = []string{"front-proxy-client"}
	u.Authentication.RequestHeader.UsernameHeaders = []string{"X-Remote-User"}
	u.Authentication.RequestHeader.GroupHeaders = []string{"X-Remote-Group"}
	u.Authentication.RequestHeader.ExtraHeaderPrefixes = []string{"X-Remote-Extra-"}
	u.Authentication.BootstrapToken.Enable = true
	u.Authentication.ServiceAccounts.KeyFiles = []string{p.path("sa.pub")}
	u.Authentication.ServiceAccounts.Issuers = []string{issuer}
	u.ServiceAccountSigningKeyFile = p.path("sa.key")
	u.ProxyClientCertFile = p.path("front-proxy-client.crt")
	u.ProxyClientKeyFile = p.path("front-proxy-client.key")

	u.Authorization.Modes = []string{"Node", "RBAC"}
	u.Admission.GenericAdmission.EnablePlugins = []string{"NodeRestriction"}
	u.AllowPrivileged = true

	u.ServiceClusterIPRanges = o.ServiceCIDR
	nodePorts, err := utilnet.ParsePortRange(o.NodePortRange)
	if err != nil {
		return none, fmt.Errorf("gateway: node port range: %w", err)
	}
	u.ServiceNodePortRange = *nodePorts
	u.EndpointReconcilerType = string(reconcilers.MasterCountReconcilerType)
	u.MasterCount = o.Servers

	// Only the encodings are taken from the etcd options; nothing dials this.
	u.Etcd.StorageConfig.Transport.ServerList = []string{"http://localhost:0"}
	u.Etcd.StorageConfig.CountMetricPollPeriod = 0
	u.Etcd.DefaultStorageMediaType = runtime.ContentTypeJSON
	u.Etcd.EnableWatchCache = false
	u.Etcd.SkipHealthEndpoints = true
	u.Etcd.DeleteCollectionWorkers = 32 // deletes at once share a sync of the log

	// Priority and fairness is off unless asked for: it costs each request a
	// classification and keeps a controller busy (docs/adr/001).
	u.Features.EnablePriorityAndFairness = false

	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, fs := range u.Flags().FlagSets {
		flags.AddFlagSet(fs)
	}
	if err := flags.Parse(o.Flags); err != nil {
		return none, fmt.Errorf("gateway: API server flags: %w", err)
	}
	if err := u.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return none, fmt.Errorf("gateway: set versions and features: %w", err)
	}
	completed, err := u.Complete(ctx)
	if err != nil {
		return none, fmt.Errorf("gateway: complete the API server's options: %w", err)
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return none, fmt.Errorf("gateway: API server's options: %w", utilerrors.NewAggregate(errs))
	}
	return completed, nil
}

// Kubeconfig is the path of the administrator's kubeconfig.
func (o *Options) Kubeconfig() string { return filepath.Join(o.Dir, "admin.kubeconfig") }
