package direct

import (
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"
	"strings"
)

// warm is how many pods' namespaces are kept ready.
const warm = 4

// pool makes namespaces before they are needed.
type pool struct {
	dir   string
	ready chan string // folders
	empty chan struct{}
	spare string // made when the pool was full and fill ended
}

func newPool(dir string) *pool {
	return &pool{dir: dir, ready: make(chan string, warm), empty: make(chan struct{}, 1)}
}

// newDir names a folder that nobody has.
func (p *pool) newDir() string { return filepath.Join(p.dir, strings.ToLower(rand.Text()[:16])) }

// fill keeps the pool full until ctx is done. What can't be made is tried again
// when somebody has taken: take then says why it can't.
func (p *pool) fill(ctx context.Context) {
	for ctx.Err() == nil {
		dir := p.newDir()
		if err := makeNamespaces(dir, true); err != nil {
			select {
			case <-ctx.Done():
				return
			case <-p.empty:
			}
			continue
		}
		select {
		case <-ctx.Done():
			p.spare = dir
			return
		case p.ready <- dir:
		}
	}
}

// take gives namespaces for a pod with a network of its own.
func (p *pool) take() (string, error) {
	select {
	case dir := <-p.ready:
		return dir, nil
	default:
	}
	select {
	case p.empty <- struct{}{}:
	default:
	}
	dir := p.newDir()
	return dir, makeNamespaces(dir, true)
}

// drain removes what is ready; fill has returned.
func (p *pool) drain() error {
	var errs []error
	if p.spare != "" {
		errs = append(errs, removeNamespaces(p.spare))
	}
	for {
		select {
		case dir := <-p.ready:
			errs = append(errs, removeNamespaces(dir))
		default:
			return errors.Join(errs...)
		}
	}
}
