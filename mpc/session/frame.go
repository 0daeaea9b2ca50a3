package session

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/transcript"
)

// Frames start with one byte that says what they are; the rest is tlv.
const (
	frameSetup   = 1
	frameJoin    = 2
	frameMessage = 3
)

// MaxFrame bounds every frame of a session, in bytes.
const MaxFrame = 1 << 20

// ErrInauthentic marks frames that did not come from whom they name. They are dropped;
// they never abort a session (TOB-SILA-14).
var ErrInauthentic = errors.New("not authentic")

// FrameType says what a frame is, without believing it.
type FrameType uint8

const (
	SetupFrame   FrameType = frameSetup
	JoinFrame    FrameType = frameJoin
	MessageFrame FrameType = frameMessage
)

// TypeOf reads a frame's first byte.
func TypeOf(frame []byte) (FrameType, error) {
	if len(frame) == 0 || len(frame) > MaxFrame {
		return 0, fmt.Errorf("frame of %d bytes, 1 to %d are allowed", len(frame), MaxFrame)
	}
	if t := FrameType(frame[0]); t >= SetupFrame && t <= MessageFrame {
		return t, nil
	}
	return 0, fmt.Errorf("frame type %d is not known here", frame[0])
}

const (
	fieldBody transcript.Tag = iota + 1
	fieldSignature
)

func sealed(kind byte, body, sig []byte) []byte {
	var e transcript.Encoder
	e.Bytes(fieldBody, body).Bytes(fieldSignature, sig)
	return append([]byte{kind}, e.Sum()...)
}

func unseal(kind byte, frame []byte) (body, sig []byte, err error) {
	if len(frame) == 0 || len(frame) > MaxFrame || frame[0] != kind {
		return nil, nil, fmt.Errorf("decode frame: %d bytes, not a frame of type %d", len(frame), kind)
	}
	d := transcript.NewDecoder(frame[1:])
	body, sig = d.Bytes(fieldBody, MaxFrame), d.Fixed(fieldSignature, ed25519.SignatureSize)
	if err := d.Done(); err != nil {
		return nil, nil, fmt.Errorf("decode frame: %w", err)
	}
	return body, sig, nil
}
