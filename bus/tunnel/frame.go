package tunnel

import "encoding/binary"

// A frame is its kind (one byte), its number in this direction (four bytes,
// big-endian, counting from 0) and a payload.
const (
	kindData   = 'D' // payload: bytes
	kindCredit = 'W' // payload: four bytes, how many data frames were read
	kindFin    = 'F' // no more data from here
	kindClose  = 'C' // no more data from here, none is read here
	kindReset  = 'R' // payload: why
	kindPing   = 'P'

	headerSize = 5
	chunkSize  = 64 << 10
	window     = 16 // data frames that may be unread
)

func newFrame(kind byte, payload []byte) []byte {
	f := make([]byte, headerSize+len(payload))
	f[0] = kind
	copy(f[headerSize:], payload)
	return f
}

func number(f []byte, n uint32) { binary.BigEndian.PutUint32(f[1:], n) }
