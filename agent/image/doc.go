// Package image brings images to a node without a registry: it builds OCI
// images from static programs or folders, and imports images into containerd
// where CRI finds them.
package image
