package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/reckon-project/reckon/agent"
	"github.com/reckon-project/reckon/scheduler"
	"github.com/spf13/cobra"
)

const (
	defaultNATSPort   = "4222"
	defaultNATSListen = "127.0.0.1:" + defaultNATSPort
)

// planeOptions are the settings of a server, and of the node beside it.
type planeOptions struct {
	folder folder
	hollow bool // a fork: hollow nodes in place of real ones

	listen        string
	advertise     string
	natsListen    string
	serviceCIDR   string
	nodePortRange string
	extraSANs     []string
	apiFlags      []string
	durability    string
	pprof         string
	logLevel      string
	history       string
	window        time.Duration
	windowEvents  uint64
	archive       string
	scheduler     string
	scheduling    *scheduler.Config // read from that; nil: the default one
	cluster       clusterOptions

	nodeName    string
	podCIDR     string
	clusterCIDR string
	nodeBits    int
	serviceLB   bool
	containerd  string
	runtime     string
	cniBin      string
	clusterDNS  string
	upkeep      upkeepFlags
}

func (o *planeOptions) serverFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "0.0.0.0:6443", "address of the Kubernetes API (HTTPS); pods must be able to reach it")
	f.StringVar(&o.advertise, "advertise-address", "", "IP at which pods reach the API (default: this host's)")
	f.StringVar(&o.natsListen, "nats-listen", defaultNATSListen, "address of the bus (NATS under TLS), for the command line, nodes and controllers (in a cluster: port 4222 of --cluster-listen's host)")
	f.StringVar(&o.serviceCIDR, "service-cidr", "10.96.0.0/16", "range of service addresses")
	f.StringVar(&o.nodePortRange, "node-port-range", "30000-32767", "range of node ports")
	f.StringSliceVar(&o.extraSANs, "tls-san", nil, "further names and addresses of the API's certificate")
	f.StringArrayVar(&o.apiFlags, "kube-apiserver-arg", nil, "a kube-apiserver flag, for OIDC, audit and admission (--oidc-issuer-url=...)")
	f.StringVar(&o.durability, "durability", "strict", "strict: an acknowledged change survives a power cut; fast: sync every 100 ms")
	f.StringVar(&o.scheduler, "scheduler-config", "", "a KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1) for the scheduler (default: Kubernetes' own)")
	f.StringVar(&o.history, "history", "30d", "how much history is kept: 30d, 12h, forever")
	o.retentionFlags(cmd)
	f.StringVar(&o.logLevel, "log-level", "warn", "what is logged to standard error: debug, info, warn or error")
	o.cluster.flags(f)
	f.StringVar(&o.pprof, "pprof", "", "address of Go's profiler, on loopback (off by default)")
}

func (o *planeOptions) nodeFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.nodeName, "node-name", defaultNodeName(), "the node's name")
	f.StringVar(&o.podCIDR, "pod-cidr", "", "range of this node's pod addresses (default: the first free one of the usual ranges)")
	f.StringVar(&o.clusterCIDR, "cluster-cidr", "", "range that holds all nodes' pod ranges, within which addresses aren't masqueraded (default: --pod-cidr)")
	f.StringVar(&o.containerd, "containerd", "", "socket of a containerd to use (default: start a private one)")
	f.StringVar(&o.runtime, "container-runtime", agent.RuntimeCRI, "how containerd is driven: cri, or direct, which starts pods faster")
	f.StringVar(&o.cniBin, "cni-bin", "/usr/lib/cni", "folder of the CNI plugins")
	o.upkeep.add(f)
	f.StringVar(&o.clusterDNS, "cluster-dns", "", "address of the cluster's DNS server, for pods")
}

func defaultNodeName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "node"
	}
	return strings.ToLower(name)
}

// checkPorts says clearly when an address is taken, before anything starts.
func (o *planeOptions) checkPorts() error {
	for flag, address := range map[string]string{"listen": o.listen, "nats-listen": o.natsListen} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("can't listen on %s: %w: is another cluster running? choose another address with --%s", address, err, flag)
		}
		l.Close()
	}
	return nil
}
