package scheduler

// filter refuses nodes that can't run a class of pods.
type filter interface {
	Name() string
	// Refuses is called often and allocates nothing.
	Refuses(*class, *node) bool
	// Reasons says why, in Kubernetes' words, of a node that it refuses.
	Reasons(*cluster, *class, *node) []string
}

// score prefers nodes: 0 is bad, best is best.
type score interface {
	Name() string
	Score(*cluster, *class, *node) int64
}

const best = 100_000
