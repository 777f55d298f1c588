package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// copyLog writes the events up to position, with their sequences.
func (k *fork) copyLog(ctx context.Context, origin bus.Bus, first, position uint64) error {
	begun := time.Now()
	told := begun
	err := server.Import(ctx, server.Options{Dir: string(k.to)}, first, until(origin.Log().Read(ctx, first), position), func(sequence uint64) {
		if time.Since(told) > 2*time.Second {
			told = time.Now()
			k.say("log       %d of %d events", sequence+1-first, position+1-first)
		}
	})
	if err != nil {
		return err
	}
	k.say("log       %d events, %d to %d, in %s", position+1-first, first, position, time.Since(begun).Round(time.Millisecond))
	return nil
}

// copyCheckpoints puts the checkpoints beside the log, and makes both fit. They are signed with the
// cluster's key: where that isn't copied, the fork signs them with its own.
func (k *fork) copyCheckpoints(ctx context.Context, origin bus.Bus, first, position uint64, checkpoints map[string]uint64) error {
	s, err := server.Start(server.Options{Dir: string(k.to)})
	if err != nil {
		return err
	}
	defer s.Shutdown()
	b, err := s.Connect("component:fork")
	if err != nil {
		return err
	}
	key, err := k.to.signingKey()
	if err != nil {
		return err
	}
	copied := 0
	for name, at := range checkpoints {
		if k.secrets {
			err = copyBlob(ctx, origin.Blobs(), b.Blobs(), name)
		} else {
			err = signAnew(ctx, origin.Blobs(), b.Blobs(), at, key)
		}
		if errors.Is(err, events.ErrInvalid) {
			k.say("states    the checkpoint at %d is damaged and is left out: %v", at, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("copy %s: %w", name, err)
		}
		copied++
	}
	if first > 1 && copied == 0 {
		return fmt.Errorf("%w: the log begins at %d, and no checkpoint can be read", events.ErrGone, first)
	}
	k.say("states    %d checkpoints", copied)
	return k.fitStream(ctx, b, first, position)
}

func signAnew(ctx context.Context, from, to bus.Blobs, at uint64, key ed25519.PrivateKey) error {
	s, err := projections.ReadCheckpoint(ctx, at, from)
	if err != nil {
		return err
	}
	return projections.WriteSignedCheckpoint(ctx, s, to, key)
}

func copyBlob(ctx context.Context, from, to bus.Blobs, name string) error {
	r, err := from.Get(ctx, name)
	if err != nil {
		return err
	}
	defer r.Close()
	return to.Put(ctx, name, r)
}

// copyKeys copies the cluster key and the keys of Secrets, if that was asked for.
func (k *fork) copyKeys() error {
	if !k.secrets {
		k.say("secrets   stay sealed: their keys are not copied")
		return nil
	}
	keys, err := os.ReadDir(k.from.keys())
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the keys of Secrets aren't in %s: --with-secrets is for a cluster of one server", k.from)
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(k.to.keys(), 0o700); err != nil {
		return err
	}
	if err := copyPrivate(k.from.clusterKey(), k.to.clusterKey()); err != nil {
		return err
	}
	copied := 0
	for _, e := range keys {
		if filepath.Ext(e.Name()) != ".key" {
			continue
		}
		err := copyPrivate(filepath.Join(k.from.keys(), e.Name()), filepath.Join(k.to.keys(), e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // its Secret was just deleted
		}
		if err != nil {
			return err
		}
		copied++
	}
	k.say("secrets   %d keys are copied: the fork can read what it holds", copied)
	return nil
}

func copyPrivate(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}
