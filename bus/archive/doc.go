// Package archive keeps the log's older history outside the stream, in
// compressed segments, and reads it and the stream as one log.
//
//	             Move: write, sync, read back, then trim
//	stream LOG ───────────────────────────────────────► segments in bus.Blobs
//	     │  (hot window)                                    │  (older history)
//	     └──────────────► Log: Range, Read, Follow, Get, Last ◄──┘
//
// What [Log] promises:
//
//  1. It is a bus.Log whose beginning is that of the oldest segment that reaches
//     the stream without a gap. Readers don't notice where an event is kept.
//  2. An event leaves the stream only after its segment was written, made
//     durable, read back and compared with its checksums. A crash at any step
//     loses nothing and doubles nothing: what is in both places is read once,
//     and Move goes on where it stopped.
//  3. A read that meets a trim of the stream, in this process or another one,
//     goes on in the archive without a gap.
//  4. A filtered read decompresses only the frames that can hold a match.
//  5. Memory is bounded by a few frames and a cache of indexes, whatever the
//     history's length.
//  6. Damage is named ([*Damaged]: segment, frame, sequences; of class
//     events.ErrGone) and costs one frame: reading again after its last sequence
//     goes on.
//  7. While the archive doesn't answer all works that needs only the stream, a
//     start included. What needs the archive fails with an error that says what
//     doesn't answer ([*Silent], [*NotStored]).
//
// A segment ([Writer], [Reader]) is one file that explains itself:
//
//	head │ frame │ … │ frame │ footer
//	       │                   └ the index, in zstd: manifest, frames, their keys
//	       └ header (sequences, times, checksum), then ~1,000 events in zstd
//
// Head, frame headers and footer are skippable frames of the zstd format, so
// that "zstd -dc" prints a segment's content. Events are kept as they were
// stored: subject, headers, data, sequence and stored time.
//
// Blobs are the bus's own, a [Folder], or a bucket (package s3).
//
// The caller's duties: one process moves and drops at a time (two do no harm,
// but do the work twice).
//
// What it doesn't do: it doesn't decide what is to be moved (package
// projections knows which positions have a checkpoint), and appends nothing.
package archive
