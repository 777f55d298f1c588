package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/minio/highwayhash"
	"github.com/rogpeppe/go-internal/testscript"
)

// A record of a block file of the log is, in little endian,
//
//	length(4) sequence(8) time(8) subject length(2) subject [header length(4) header] data checksum(8)
const (
	recordFixed    = 22
	recordChecksum = 8
	withHeader     = 1 << 31
)

// tamper replaces a text in the events of a stopped server's log by one of the
// same length, and leaves no trace in the blocks' checksums.
func tamper(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 || len(args[0]) != len(args[1]) {
		ts.Fatalf("usage: tamper OLD NEW, of the same length")
	}
	found := false
	eachBlock(ts, func(stream string, block []byte) []byte {
		for _, r := range records(block) {
			if i := bytes.LastIndex(r, []byte(args[0])); i >= 0 {
				found = true
				copy(r[i:], args[1])
				reseal(ts, stream, r)
			}
		}
		return block
	})
	if !found {
		ts.Fatalf("no event holds %q", args[0])
	}
}

// cut removes a killed server's events from a sequence on.
func cut(ts *testscript.TestScript, neg bool, args []string) {
	from, err := strconv.ParseUint(args[0], 10, 64)
	ts.Check(err)
	eachBlock(ts, func(_ string, block []byte) []byte {
		kept := 0
		for _, r := range records(block) {
			if binary.LittleEndian.Uint64(r[4:]) >= from {
				break
			}
			kept += len(r)
		}
		return block[:kept]
	})
}

// eachBlock rewrites the log's block files; stream is what a block's checksums
// are keyed with.
func eachBlock(ts *testscript.TestScript, f func(stream string, block []byte) []byte) {
	n := 0
	ts.Check(filepath.WalkDir(ts.Getenv("DATA"), func(path string, _ fs.DirEntry, err error) error {
		number, ok := strings.CutSuffix(filepath.Base(path), ".blk")
		if err != nil || !ok || !strings.HasSuffix(filepath.Dir(path), "/streams/LOG/msgs") {
			return err
		}
		n++
		block, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, f("LOG-"+number, block), 0o600)
	}))
	if n == 0 {
		ts.Fatalf("the log has no blocks")
	}
}

func records(block []byte) (all [][]byte) {
	for len(block) >= recordFixed {
		length := min(int(binary.LittleEndian.Uint32(block)&^withHeader), len(block))
		all = append(all, block[:length])
		block = block[length:]
	}
	return all
}

// reseal makes a record's checksum again.
func reseal(ts *testscript.TestScript, stream string, record []byte) {
	key := sha256.Sum256(fmt.Append(nil, stream))
	sum, err := highwayhash.NewDigest64(key[:])
	ts.Check(err)
	subjectEnd := recordFixed + int(binary.LittleEndian.Uint16(record[20:]))
	begin, end := subjectEnd, len(record)-recordChecksum
	if binary.LittleEndian.Uint32(record)&withHeader != 0 {
		begin += 4
	}
	for _, part := range [][]byte{record[4:20], record[recordFixed:subjectEnd], record[begin:end]} {
		_, err := sum.Write(part)
		ts.Check(err)
	}
	copy(record[end:], sum.Sum(nil))
}
