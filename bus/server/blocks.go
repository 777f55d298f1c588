package server

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// blocks syncs the block files of one JetStream stream. JetStream writes a
// message to the newest block before it acknowledges; blocks are numbered, and a
// full one is followed by the next number.
type blocks struct {
	stream string
	dir    string // .../streams/<stream>/msgs
	newest int    // number of the newest block as of the last sync
}

// sync makes durable what was written before the call.
func (b *blocks) sync() error {
	err := b.syncBlock(b.newest)
	if errors.Is(err, fs.ErrNotExist) { // emptied and removed, or none yet
		return b.syncAll()
	}
	if err != nil {
		return err
	}
	grown := false
	for {
		err := b.syncBlock(b.newest + 1)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		b.newest++
		grown = true
	}
	if grown {
		return syncFolder(b.dir)
	}
	return nil
}

// syncAll syncs all blocks from the newest known on, and the folder.
func (b *blocks) syncAll() error {
	numbers, err := b.numbers()
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if n < b.newest {
			continue
		}
		if err := b.syncBlock(n); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		b.newest = n
	}
	return syncFolder(b.dir)
}

func (b *blocks) syncBlock(n int) error {
	return withFile(b.path(n), unix.Fdatasync)
}

func syncFolder(dir string) error { return withFile(dir, unix.Fsync) }

// syncFileSystem makes everything on dir's file system durable.
func syncFileSystem(dir string) error { return withFile(dir, unix.Syncfs) }

func withFile(path string, sync func(fd int) error) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	err = sync(fd)
	if cerr := unix.Close(fd); err == nil {
		err = cerr
	}
	if err != nil {
		return &fs.PathError{Op: "sync", Path: path, Err: err}
	}
	return nil
}
