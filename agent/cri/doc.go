// Package cri is agent/runtime on containerd: CRI over its socket for pods and
// images, and containerd's own event stream, which tells of a container's end
// sooner than CRI does.
package cri
