package sealed

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// envelopeMagic begins every envelope; the digit is its version. What follows
// is the nonce and the XChaCha20-Poly1305 ciphertext.
const envelopeMagic = "reckon-sealed/1\x00"

const keySize = chacha20poly1305.KeySize

// isEnvelope reports whether a value was sealed.
func isEnvelope(value []byte) bool { return bytes.HasPrefix(value, []byte(envelopeMagic)) }

func newCipher(key []byte) (cipher.AEAD, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("use a key of %d bytes: %w", len(key), err)
	}
	return aead, nil
}

// seal makes an envelope of value; context says where it stands.
func seal(aead cipher.AEAD, value []byte, context string) []byte {
	out := make([]byte, len(envelopeMagic)+chacha20poly1305.NonceSizeX, len(envelopeMagic)+chacha20poly1305.NonceSizeX+len(value)+chacha20poly1305.Overhead)
	copy(out, envelopeMagic)
	nonce := out[len(envelopeMagic):]
	rand.Read(nonce) // never fails
	return aead.Seal(out, nonce, value, []byte(context))
}

var errEnvelope = errors.New("the envelope is damaged, or not of this place")

// open is the inverse of seal.
func open(aead cipher.AEAD, envelope []byte, context string) ([]byte, error) {
	if !isEnvelope(envelope) || len(envelope) < len(envelopeMagic)+chacha20poly1305.NonceSizeX {
		return nil, errEnvelope
	}
	nonce := envelope[len(envelopeMagic):][:chacha20poly1305.NonceSizeX]
	value, err := aead.Open(nil, nonce, envelope[len(envelopeMagic)+len(nonce):], []byte(context))
	if err != nil {
		return nil, errEnvelope
	}
	return value, nil
}
