package archive

import (
	"github.com/reckon-project/reckon/bus"
)

// Bus is a bus whose log reaches back into the archive.
type Bus struct {
	bus.Bus
	log *Log
}

// Wrap gives b with a log that reads the archive in blobs, too; nil: in the
// bus's own blob store.
func Wrap(b bus.Bus, blobs bus.Blobs) *Bus {
	if blobs == nil {
		blobs = b.Blobs()
	}
	return &Bus{Bus: b, log: NewLog(b.Log(), NewStore(blobs))}
}

// Log is stream and archive as one.
func (b *Bus) Log() bus.Log { return b.log }

// Archived is Log with its own type.
func (b *Bus) Archived() *Log { return b.log }
