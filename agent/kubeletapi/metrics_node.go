package kubeletapi

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

var (
	ofClaim = []string{"namespace", "persistentvolumeclaim"}

	nodeName          = prometheus.NewDesc("kubelet_node_name", "[ALPHA] The node's name. The count is always 1.", []string{"node"}, nil)
	runningPods       = prometheus.NewDesc("kubelet_running_pods", "[BETA] Number of pods that have a running pod sandbox", nil, nil)
	runningContainers = prometheus.NewDesc("kubelet_running_containers", "[BETA] Number of containers currently running", []string{"container_state"}, nil)
	volumeCapacity    = prometheus.NewDesc("kubelet_volume_stats_capacity_bytes", "[ALPHA] Capacity in bytes of the volume", ofClaim, nil)
	volumeAvailable   = prometheus.NewDesc("kubelet_volume_stats_available_bytes", "[ALPHA] Number of available bytes in the volume", ofClaim, nil)
	volumeUsed        = prometheus.NewDesc("kubelet_volume_stats_used_bytes", "[ALPHA] Number of used bytes in the volume", ofClaim, nil)
	volumeInodes      = prometheus.NewDesc("kubelet_volume_stats_inodes", "[ALPHA] Maximum number of inodes in the volume", ofClaim, nil)
	volumeInodesFree  = prometheus.NewDesc("kubelet_volume_stats_inodes_free", "[ALPHA] Number of free inodes in the volume", ofClaim, nil)
	volumeInodesUsed  = prometheus.NewDesc("kubelet_volume_stats_inodes_used", "[ALPHA] Number of used inodes in the volume", ofClaim, nil)
)

// nodeMetrics serves what the agent says of itself and of its node, under the
// kubelet's names.
func (s *Server) nodeMetrics(w http.ResponseWriter, r *http.Request) {
	exposed(w, r, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collect(func(to chan<- prometheus.Metric) {
		to <- prometheus.MustNewConstMetric(nodeName, prometheus.GaugeValue, 1, s.Node)
		pods, running, exited := 0, 0, 0
		for _, v := range s.Pods.All() {
			if v.Sandbox != "" {
				pods++
			}
			for _, c := range v.Containers {
				if c.Running {
					running++
				} else {
					exited++
				}
			}
		}
		to <- prometheus.MustNewConstMetric(runningPods, prometheus.GaugeValue, float64(pods))
		to <- prometheus.MustNewConstMetric(runningContainers, prometheus.GaugeValue, float64(running), "running")
		to <- prometheus.MustNewConstMetric(runningContainers, prometheus.GaugeValue, float64(exited), "exited")
		summary, err := s.summarize(r.Context(), true)
		if err != nil {
			s.Log.Warn("volumes weren't measured", "err", err)
			return
		}
		claims(to, summary)
	}))
}

// claims gives the file systems of persistent volume claims, each once.
func claims(to chan<- prometheus.Metric, summary *stats.Summary) {
	seen := map[stats.PVCReference]bool{}
	for i := range summary.Pods {
		for _, v := range summary.Pods[i].VolumeStats {
			if v.PVCRef == nil || seen[*v.PVCRef] {
				continue
			}
			seen[*v.PVCRef] = true
			for desc, n := range map[*prometheus.Desc]*uint64{
				volumeCapacity: v.CapacityBytes, volumeAvailable: v.AvailableBytes, volumeUsed: v.UsedBytes,
				volumeInodes: v.Inodes, volumeInodesFree: v.InodesFree, volumeInodesUsed: v.InodesUsed,
			} {
				if n != nil {
					to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(*n), v.PVCRef.Namespace, v.PVCRef.Name)
				}
			}
		}
	}
}
