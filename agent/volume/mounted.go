package volume

import v1 "k8s.io/api/core/v1"

// Mounted is a volume that is ready to be mounted into containers.
type Mounted struct {
	Path     string
	ReadOnly bool // whatever the container asks
	// Block says that Path is a device that containers get as one (volumeDevices).
	Block bool
	// Image is what the runtime is to mount; nil for all other volumes.
	Image *v1.ImageVolumeSource
}
