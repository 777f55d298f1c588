package gateway

import (
	"fmt"
	"net"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/gateway/store"
	"github.com/reckon-project/reckon/projections"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Options says what a Server serves and where.
type Options struct {
	Bus      bus.Bus
	Log      *projections.Projection // of Bus.Log(), being run by the caller
	Volatile *projections.Projection // of Bus.Volatile(), being run by the caller

	// Dir holds certificates, keys and admin.kubeconfig.
	Dir string
	// Listen is the HTTPS address (default 127.0.0.1:6443; port 0 picks one).
	Listen string
	// AdvertiseAddress is the IP at which pods and nodes reach the API (the
	// endpoint of the kubernetes service). Default: the listening address, or
	// the address of the default route if that is a loopback or unspecified one.
	AdvertiseAddress string
	// ServiceCIDR is the range of service addresses (default 10.96.0.0/16).
	ServiceCIDR string
	// NodePortRange is the range of node ports (default 30000-32767).
	NodePortRange string
	// ExtraSANs are further names and addresses of the serving certificate.
	ExtraSANs []string
	// Servers is the number of gateways in the cluster (default 1).
	Servers int
	// Flags are kube-apiserver flags for what has no field here: OIDC, audit,
	// admission plugins, runtime-config. One that is given replaces what the
	// gateway sets by itself.
	Flags []string
	// Sealer gives the sealer of a resource's values (Secrets), nil for none.
	Sealer func(schema.GroupResource) store.Sealer
	// StopTimeout bounds how long Run waits for requests after its context ended
	// (default 5 s). Watches are ended at once.
	StopTimeout time.Duration
}

func (o *Options) complete() error {
	if o.Bus == nil || o.Log == nil || o.Volatile == nil {
		return fmt.Errorf("gateway: Bus, Log and Volatile must be set")
	}
	if o.Dir == "" {
		return fmt.Errorf("gateway: Dir must be set")
	}
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set(&o.Listen, "127.0.0.1:6443")
	set(&o.ServiceCIDR, "10.96.0.0/16")
	set(&o.NodePortRange, "30000-32767")
	if o.Servers == 0 {
		o.Servers = 1
	}
	if o.StopTimeout == 0 {
		o.StopTimeout = 5 * time.Second
	}
	return nil
}

// advertised finds the address that the kubernetes service leads to.
func (o *Options) advertised(listen net.IP) (net.IP, error) {
	if o.AdvertiseAddress != "" {
		ip := net.ParseIP(o.AdvertiseAddress)
		if ip == nil {
			return nil, fmt.Errorf("gateway: advertise address %q is not an IP address", o.AdvertiseAddress)
		}
		return ip, nil
	}
	if !listen.IsLoopback() && !listen.IsUnspecified() {
		return listen, nil
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("gateway: look for an address to advertise: %w", err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP, nil
		}
	}
	return nil, fmt.Errorf("gateway: this host has no address but loopback ones: set the advertise address")
}
