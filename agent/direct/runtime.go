package direct

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	apitypes "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"

	"github.com/reckon-project/reckon/agent/cri"
	"github.com/reckon-project/reckon/agent/direct/logger"
	"github.com/reckon-project/reckon/agent/runtime"
	"github.com/reckon-project/reckon/events"
)

const (
	shim        = "io.containerd.runc.v2"
	snapshotter = "overlayfs"
)

// Options say where a node's things are.
type Options struct {
	Dir      string   // absolute; all files of the runtime lie below it
	Socket   string   // of the logger; a short path
	ConfDir  string   // CNI configuration
	BinDirs  []string // CNI plugins
	RuncRoot string   // "": runc's own default

	PauseImage string
	// Logger is the command of a program that calls logger.Serve with its last argument.
	Logger []string
}

// Runtime is a runtime.Runtime on one containerd.
type Runtime struct {
	runtime.Images // CRI's

	o       Options
	cri     *cri.Client
	daemon  *client.Client
	options typeurl.Any // of the shim
	logger  *logger.Client
	network *network
	pool    *pool
	streams *streams
	images  imageCache
	run     string // in the names of the commands that this agent executes
	usage   usage

	listeners listeners

	mu      sync.Mutex
	records map[string]*record // by id
	ooms    map[string]bool    // by id: told, and not noted yet

	stop    context.CancelFunc
	running sync.WaitGroup
}

var _ runtime.Runtime = (*Runtime)(nil)

// New finds what runs already and makes ready what the next pods need. Close
// closes the client, too.
func New(ctx context.Context, c *cri.Client, o Options) (*Runtime, error) {
	if !filepath.IsAbs(o.Dir) || len(o.Logger) == 0 {
		return nil, fmt.Errorf("%w: the runtime needs an absolute folder and the logger's command", events.ErrInvalid)
	}
	for _, dir := range []string{o.Dir, filepath.Join(o.Dir, dirSandboxes), filepath.Join(o.Dir, dirNamespaces), filepath.Join(o.Dir, dirFifos)} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, err
		}
	}
	options, err := typeurl.MarshalAny(&apitypes.Options{Root: o.RuncRoot})
	if err != nil {
		return nil, err
	}
	r := &Runtime{
		Images: c, o: o, cri: c, daemon: c.Daemon(), options: options,
		logger:  logger.NewClient(o.Socket, filepath.Join(o.Dir, "logger.log"), o.Logger),
		network: newNetwork(o.ConfDir, o.BinDirs), run: rand.Text()[:8],
		records: map[string]*record{}, ooms: map[string]bool{}, listeners: listeners{all: map[*listener]bool{}},
	}
	ctx = inNamespace(ctx)
	if err := r.load(ctx); err != nil {
		return nil, err
	}
	if err := r.sweep(ctx); err != nil {
		return nil, err
	}
	if _, err := r.logger.Start(ctx); err != nil {
		return nil, err
	}
	if err := r.sweepFifos(); err != nil {
		return nil, err
	}
	if r.streams, err = serveStreams(r); err != nil {
		return nil, err
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	r.pool = newPool(filepath.Join(o.Dir, dirNamespaces))
	r.running.Go(func() { r.pool.fill(work) })
	r.running.Go(func() { r.keepLogger(work) })
	r.running.Go(func() { r.follow(work) })
	r.running.Go(func() { r.endCommands(work) })
	return r, nil
}

const (
	dirSandboxes  = "sandboxes"
	dirNamespaces = "namespaces"
	dirFifos      = "fifos"
)

// Close ends what New started, and the client. Containers and the logger go on.
func (r *Runtime) Close() error {
	r.stop()
	err := r.streams.close()
	r.running.Wait()
	return errors.Join(err, r.pool.drain(), r.cri.Close())
}

// Status implements runtime.Runtime.
func (r *Runtime) Status(ctx context.Context) (runtime.Status, error) {
	version, err := r.daemon.Version(inNamespace(ctx))
	if err != nil {
		return runtime.Status{}, classify(err, "ask for containerd's version")
	}
	out := runtime.Status{Name: "containerd", Version: version.Version, RuntimeReady: true, NetworkReady: true}
	if err := r.network.load(); err != nil {
		out.NetworkReady, out.Message = false, err.Error()
	}
	return out, nil
}

func inNamespace(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, cri.Namespace)
}

// classify wraps containerd's errors with the project's classes.
func classify(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	doing := fmt.Sprintf(format, args...)
	for class, is := range map[error]func(error) bool{
		events.ErrNotFound: errdefs.IsNotFound, events.ErrExists: errdefs.IsAlreadyExists,
		events.ErrInvalid: errdefs.IsInvalidArgument, events.ErrUnavailable: errdefs.IsUnavailable,
	} {
		if is(err) && !errors.Is(err, class) {
			return fmt.Errorf("%s: %w: %w", doing, class, err)
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// gone forgives that what was to go is gone already.
func gone(err error) error {
	if errdefs.IsNotFound(err) || errors.Is(err, events.ErrNotFound) {
		return nil
	}
	return err
}
