package server

import (
	"context"
	"path/filepath"

	"github.com/reckon-project/reckon/bus"
)

// Files reads the log of the server whose folder is dir, beside the server: for
// programs on its machine that read much (see bus.Credentials).
func Files(dir string) bus.Files {
	return files{blocks{stream: bus.StreamLog, dir: streamDir(storeIn(dir), bus.StreamLog)}}
}

type files struct{ log blocks }

// ReadBlocks reads LOG only, as the server itself does.
func (f files) ReadBlocks(ctx context.Context, stream string, from, last uint64, yield func(bus.Stored) bool) {
	if stream == bus.StreamLog {
		f.log.read(ctx, from, last, yield) //nolint:errcheck // where the files don't go on the server is asked
	}
}

// storeIn is NATS' part of a server's folder.
func storeIn(dir string) string { return filepath.Join(dir, "nats") }

// streamDir is where a store keeps a stream's blocks.
func streamDir(store, stream string) string {
	return filepath.Join(store, "jetstream", "$G", "streams", stream, "msgs")
}
