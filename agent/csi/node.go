package csi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/moby/sys/mountinfo"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent/csi/registry"
)

// callWithin bounds one call of a driver.
const callWithin = 2 * time.Minute

// API tells the cluster which drivers a node has.
type API interface {
	SetCSIDriver(ctx context.Context, d storagev1.CSINodeDriver, topology map[string]string) error
	RemoveCSIDriver(ctx context.Context, name string) error
}

// Options are what a node's drivers are served with.
type Options struct {
	Dir        string // the agent's folder
	Node       string
	API        API
	Clock      clock.Clock
	Log        *slog.Logger
	Changed    func() // is called when the volumes in use changed; it doesn't wait
	Registered func() // is called when a driver came
}

// Node has the CSI drivers of one node.
type Node struct {
	Options
	volumes keyedLocks

	cleaning sync.WaitGroup

	mu      sync.Mutex
	ctx     context.Context // Run's, for what goes on after a call
	drivers map[string]*driver
	live    map[string]bool               // paths that a driver answered for since this agent started
	inUse   map[volumeKey]map[string]bool // records of attached volumes
}

// New reads what was published before. What can't be read is told, and doesn't keep the
// node from its other pods.
func New(o Options) *Node {
	n := &Node{Options: o, ctx: context.Background(), drivers: map[string]*driver{}, live: map[string]bool{}, inUse: map[volumeKey]map[string]bool{}}
	records, err := n.recordsOf("*")
	staged, errStaged := n.stagedRecords("*")
	if err := errors.Join(err, errStaged); err != nil {
		n.Log.Error("not all volumes that drivers had mounted are known", "err", err)
	}
	for _, r := range append(records, staged...) {
		n.use(r, true)
	}
	return n
}

// Run registers drivers until ctx is done. The drivers' connections are closed then.
func (n *Node) Run(ctx context.Context) error {
	w := registry.Watcher{Dir: filepath.Join(n.Dir, "plugins_registry"), Handlers: map[string]registry.Handler{"CSIPlugin": n}, Clock: n.Clock, Log: n.Log}
	n.mu.Lock()
	n.ctx = ctx
	n.mu.Unlock()
	err := w.Run(ctx)
	n.cleaning.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, d := range n.drivers {
		delete(n.drivers, name)
		d.close()
	}
	return err
}

// alive reports that what is at a path needn't be asked for again.
func (n *Node) alive(path string) bool {
	n.mu.Lock()
	known := n.live[path]
	n.mu.Unlock()
	if known {
		return true
	}
	mounted, err := mountinfo.Mounted(path)
	return err == nil && mounted // a path that isn't there is an error
}

func (n *Node) setAlive(path string, is bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if is {
		n.live[path] = true
	} else {
		delete(n.live, path)
	}
}

// keyedLocks is one lock for each volume that something is done to.
type keyedLocks struct {
	mu    sync.Mutex
	locks map[volumeKey]*countedLock
}

type countedLock struct {
	sync.Mutex
	users int
}

func (k *keyedLocks) lock(key volumeKey) (unlock func()) {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = map[volumeKey]*countedLock{}
	}
	l := k.locks[key]
	if l == nil {
		l = &countedLock{}
		k.locks[key] = l
	}
	l.users++
	k.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(k.locks, key)
		}
	}
}

// volumeKey names a volume: a driver and its name for it.
type volumeKey struct{ driver, handle string }

func (k volumeKey) String() string { return fmt.Sprintf("kubernetes.io/csi/%s^%s", k.driver, k.handle) }
