package server

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/minio/highwayhash"

	"github.com/reckon-project/reckon/bus"
)

// A record of a block file is, in little endian,
//
//	length(4) sequence(8) time(8) subject length(2) subject [header length(4) header] data checksum(8)
//
// where the highest bit of length says that there is a header, and the two
// highest of sequence mark what isn't a message: one erased, or a tombstone.
const (
	recordFixed    = 22
	recordChecksum = 8
	withHeader     = 1 << 31
	notMessage     = 3 << 62
	maxRecord      = maxPayload + 1<<17
	readSize       = 512 << 10
)

// errBlocks says that the block files aren't as expected; JetStream knows more.
var errBlocks = errors.New("the block files don't go on")

// read yields the messages from sequence from to last out of the block files.
// It ends early at anything that isn't the next message, intact: a block that is
// being trimmed or written, or one of a format that is not known here.
func (b *blocks) read(ctx context.Context, from, last uint64, yield func(bus.Stored) bool) error {
	numbers, err := b.numbers()
	if err != nil {
		return err
	}
	// The blocks that begin at from or before: the last of them holds it.
	begins := sort.Search(len(numbers), func(i int) bool {
		first, ferr := b.firstSequence(numbers[i])
		if ferr != nil && err == nil {
			err = ferr
		}
		return first > from
	})
	if err != nil || begins == 0 {
		return errors.Join(errBlocks, err)
	}
	r := blockReader{next: from, last: last, yield: yield}
	for _, n := range numbers[begins-1:] {
		if err := r.block(ctx, b, n); err != nil || r.next > last || r.enough {
			return err
		}
	}
	return nil
}

func (b *blocks) numbers() ([]int, error) {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return nil, fmt.Errorf("list the blocks of the log: %w", err)
	}
	var numbers []int
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".blk"); ok {
			if n, err := strconv.Atoi(name); err == nil {
				numbers = append(numbers, n)
			}
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

func (b *blocks) path(n int) string { return filepath.Join(b.dir, strconv.Itoa(n)+".blk") }

// firstSequence is that of a block's first record.
func (b *blocks) firstSequence(n int) (uint64, error) {
	f, err := os.Open(b.path(n))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil // trimmed just now
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var fixed [recordFixed]byte
	if _, err := f.ReadAt(fixed[:], 0); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(fixed[4:]) &^ notMessage, nil
}

type blockReader struct {
	next, last uint64
	yield      func(bus.Stored) bool
	enough     bool
	buffer     []byte
}

func (r *blockReader) block(ctx context.Context, b *blocks, n int) error {
	f, err := os.Open(b.path(n))
	if err != nil {
		return err
	}
	defer f.Close()
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", b.stream, n))
	sum, err := highwayhash.NewDigest64(key[:])
	if err != nil {
		return err
	}
	if r.buffer == nil {
		r.buffer = make([]byte, readSize)
	}
	have := 0
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := f.Read(r.buffer[have:])
		have += n
		if errors.Is(err, io.EOF) {
			return nil // a record that isn't whole is being written
		}
		if err != nil {
			return err
		}
		rest := r.buffer[:have]
		for len(rest) >= recordFixed {
			length := int(binary.LittleEndian.Uint32(rest) &^ withHeader)
			if length < recordFixed+recordChecksum || length > maxRecord {
				return errBlocks
			}
			if length > len(rest) {
				if length > len(r.buffer) {
					r.buffer = append(r.buffer, make([]byte, length-len(r.buffer))...)
				}
				break
			}
			if err := r.record(rest[:length], sum); err != nil || r.enough || r.next > r.last {
				return err
			}
			rest = rest[length:]
		}
		have = copy(r.buffer, rest)
	}
}

func (r *blockReader) record(record []byte, sum *highwayhash.Digest64) error {
	sequence := binary.LittleEndian.Uint64(record[4:])
	if sequence&notMessage != 0 || sequence < r.next {
		return nil
	}
	if sequence > r.next {
		return errBlocks
	}
	subjectEnd := recordFixed + int(binary.LittleEndian.Uint16(record[20:]))
	end := len(record) - recordChecksum
	headerBegin, headerEnd := subjectEnd, subjectEnd
	if binary.LittleEndian.Uint32(record)&withHeader != 0 {
		if subjectEnd+4 > end {
			return errBlocks
		}
		headerBegin = subjectEnd + 4
		length := binary.LittleEndian.Uint32(record[subjectEnd:])
		if uint64(headerBegin)+uint64(length) > uint64(end) {
			return errBlocks
		}
		headerEnd = headerBegin + int(length)
	}
	if headerEnd > end {
		return errBlocks
	}
	sum.Reset()
	for _, part := range [][]byte{record[4:20], record[recordFixed:subjectEnd], record[headerBegin:end]} {
		if _, err := sum.Write(part); err != nil {
			return err
		}
	}
	var b [recordChecksum]byte
	if string(sum.Sum(b[:0])) != string(record[end:]) {
		return errBlocks
	}
	r.enough = !r.yield(bus.Stored{
		Sequence: sequence, Time: time.Unix(0, int64(binary.LittleEndian.Uint64(record[12:]))).UTC(),
		Subject: record[recordFixed:subjectEnd], Header: record[headerBegin:headerEnd], Data: record[headerEnd:end],
	})
	r.next++
	return nil
}
