package scheduler

// filter refuses nodes that can't run a class of pods.
type filter interface {
	Name() string
	// Refuses is called often and allocates nothing.
	Refuses(*class, *node) bool
	// Reasons says why, in Kubernetes' words, of a node that it refuses.
	Reasons(*cluster, *class, *node) []string
}

// filters in the order in which Kubernetes asks them: a node's reasons are those of
// the first that refuses it. The first staticFilters look only at the node
// object, the others also at what runs on the node.
var filters = []filter{
	NodeUnschedulable{}, NodeName{}, TaintToleration{}, NodeAffinity{},
	NodePorts{}, NodeResourcesFit{},
}

const staticFilters = 4

// score prefers nodes: 0 is bad, best is best. The classes' weights are Kubernetes'.
type score interface {
	Name() string
	Weight() int64
	Score(*cluster, *class, *node) int64
}

const best = 100_000

// scores: the first staticScores look only at the node object.
var scores = []score{
	TaintToleration{}, NodeAffinity{},
	LeastAllocated{}, BalancedAllocation{}, PodTopologySpread{},
}

const staticScores = 2
