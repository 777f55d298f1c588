package volume

// Mounted is a volume that is ready to be mounted into containers.
type Mounted struct {
	Path     string
	ReadOnly bool // whatever the container asks
}
