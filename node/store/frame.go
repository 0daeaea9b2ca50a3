package store

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/ostraka/ostraka/crypto/transcript"
)

// FrameSize is what a frame adds to a value, in bytes.
const FrameSize = 1 + 8 + ChecksumSize

// ChecksumSize is the length of a record's checksum in bytes.
const ChecksumSize = 8

const frameVersion = 1

// Frame is what drivers store for a value: version (1 byte, 1) ‖ revision (8 bytes,
// big-endian; 0 where the database keeps it) ‖ checksum (8 bytes) ‖ value. The checksum
// is the first 8 bytes of SHA-256 over key, revision and value: a flipped bit in any of
// them, or a value that lies under another key, shows when it is read. It guards
// against a failing disk, not against an attacker who can write to it.
func Frame(key string, revision uint64, value []byte) []byte {
	sum := checksum(key, revision, value)
	out := make([]byte, 0, FrameSize+len(value))
	out = append(out, frameVersion)
	out = binary.BigEndian.AppendUint64(out, revision)
	out = append(out, sum[:]...)
	return append(out, value...)
}

// Unframe checks a frame read under key and returns its parts; value aliases frame.
// Its error is a *CorruptError.
func Unframe(key string, frame []byte) (value []byte, revision uint64, err error) {
	if len(frame) < FrameSize {
		return nil, 0, &CorruptError{key, fmt.Errorf("has %d bytes, at least %d are needed", len(frame), FrameSize)}
	}
	if frame[0] != frameVersion {
		return nil, 0, &CorruptError{key, fmt.Errorf("frame version is %d, this program knows %d", frame[0], frameVersion)}
	}
	revision = binary.BigEndian.Uint64(frame[1:])
	value = frame[FrameSize:len(frame):len(frame)]
	sum := checksum(key, revision, value)
	if !bytes.Equal(sum[:], Checksum(frame)) {
		return nil, 0, &CorruptError{key, fmt.Errorf("checksum is %x, computed %x", Checksum(frame), sum)}
	}
	return value, revision, nil
}

// Checksum is the checksum inside a frame of at least FrameSize bytes.
func Checksum(frame []byte) []byte { return frame[9:FrameSize:FrameSize] }

func checksum(key string, revision uint64, value []byte) [ChecksumSize]byte {
	h := transcript.NewSized(transcript.StoreFrame, len(key)+len(value)+64).Bytes([]byte(key)).Uint(revision).Bytes(value).Sum256()
	return [ChecksumSize]byte(h[:ChecksumSize])
}
