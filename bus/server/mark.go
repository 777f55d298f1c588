package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// mark is a small file with the sequence up to which a stream is durable. It is
// written after each sync and not synced itself, so it may be behind, never ahead.
type mark struct{ file *os.File }

func openMark(dir, stream string) (*mark, uint64, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, 0, fmt.Errorf("make the folder of the durable marks: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, stream), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("open the durable mark of %s: %w", stream, err)
	}
	var b [12]byte
	if _, err := f.ReadAt(b[:], 0); err != nil && !errors.Is(err, io.EOF) {
		f.Close()
		return nil, 0, fmt.Errorf("read the durable mark of %s: %w", stream, err)
	}
	if binary.BigEndian.Uint32(b[8:]) != crc32.ChecksumIEEE(b[:8]) {
		return &mark{f}, 0, nil // new or torn: it says nothing
	}
	return &mark{f}, binary.BigEndian.Uint64(b[:]), nil
}

func (m *mark) write(sequence uint64) error {
	var b [12]byte
	binary.BigEndian.PutUint64(b[:], sequence)
	binary.BigEndian.PutUint32(b[8:], crc32.ChecksumIEEE(b[:8]))
	_, err := m.file.WriteAt(b[:], 0)
	return err
}

func (m *mark) close() error { return m.file.Close() }
