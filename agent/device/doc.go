// Package device has device plugins (k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1)
// offer devices of the node as extended resources, and gives them to containers.
//
//		plugin ──Register──► <dir>/kubelet.sock
//		   ▲ ListAndWatch: devices and their health ──► Resources: capacity, allocatable
//		   │ Allocate when a pod is admitted ──────────► Admit, kept in <dir>/devices.json
//		   │ PreStartContainer ────────────────────────► Equip: variables, mounts, devices, CDI names
//
//	 1. A device is given to one pod at a time; containers of a pod may use those of
//	    its init containers that ended before.
//	 2. What was given outlives the agent and the plugin.
//	 3. A plugin that is away has no healthy devices; after five minutes there are
//	    none of its resource.
//	 4. A plugin that registers again takes the place of the one before.
//
// The sockets' folder is emptied when Run begins: plugins see that and register again.
package device
