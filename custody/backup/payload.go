package backup

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
)

const payloadMagic = "ostraka/1 backup payload\n"

// Bounds of a payload.
const (
	MaxSettings = 64 << 10
	maxRowKey   = 512
	maxRowValue = 5 << 18
	keySize     = 32
)

const (
	frameEnd = 0
	frameRow = 1
)

// Secrets are what opens a node's rows and what it signs with. They print as "[secret]".
type Secrets struct {
	Seed     secret.Bytes // of the identity key, 32 bytes
	DataKey  secret.Bytes // under which secret rows are sealed, 32 bytes
	Settings []byte       // the node's settings, as its file has them
}

// Wipe overwrites both keys.
func (s Secrets) Wipe() { s.Seed.Wipe(); s.DataKey.Wipe() }

// Format redacts under every verb: fmt does not ask unexported fields.
func (Secrets) Format(f fmt.State, _ rune) { io.WriteString(f, secret.Redacted) } //nolint:errcheck // a printer's trouble

const (
	fieldSeed transcript.Tag = iota + 1
	fieldDataKey
	fieldSettings
)

// A Writer writes a payload (spec/backups 2).
type Writer struct {
	w    io.Writer
	sum  hash.Hash
	last string
	rows uint64
}

// NewWriter begins a payload.
func NewWriter(w io.Writer, s Secrets) (*Writer, error) {
	if s.Seed.Len() != keySize || s.DataKey.Len() != keySize || len(s.Settings) == 0 || len(s.Settings) > MaxSettings {
		return nil, fmt.Errorf("backup payload: keys of %d and %d bytes and settings of %d bytes are not a node's", s.Seed.Len(), s.DataKey.Len(), len(s.Settings))
	}
	out := &Writer{w: w, sum: sha256.New()}
	var e transcript.Encoder
	head := e.Bytes(fieldSeed, s.Seed.Expose()).Bytes(fieldDataKey, s.DataKey.Expose()).Bytes(fieldSettings, s.Settings).Sum()
	defer secret.Wipe(head)
	if err := out.write([]byte(payloadMagic), binary.BigEndian.AppendUint32(nil, uint32(len(head))), head); err != nil {
		return nil, err
	}
	return out, nil
}

func (w *Writer) write(parts ...[]byte) error {
	for _, p := range parts {
		w.sum.Write(p)
		if _, err := w.w.Write(p); err != nil {
			return fmt.Errorf("backup payload: %w", err)
		}
	}
	return nil
}

// Row writes a row of the store; keys come in ascending order.
func (w *Writer) Row(key string, value []byte) error {
	if key <= w.last || len(key) > maxRowKey || len(value) > maxRowValue {
		return fmt.Errorf("backup payload: row %.80q of %d bytes after %.80q does not go", key, len(value), w.last)
	}
	w.last, w.rows = key, w.rows+1
	head := binary.BigEndian.AppendUint16([]byte{frameRow}, uint16(len(key)))
	return w.write(binary.BigEndian.AppendUint32(head, uint32(len(value))), []byte(key), value)
}

// Close ends the payload: a file that was cut off at a row's end is told from a whole one.
func (w *Writer) Close() error {
	if err := w.write(binary.BigEndian.AppendUint64([]byte{frameEnd}, w.rows)); err != nil {
		return err
	}
	_, err := w.w.Write(w.sum.Sum(nil))
	return err
}

// A Reader reads a payload. What it gives was checked for form alone.
type Reader struct {
	r    io.Reader
	sum  hash.Hash
	last string
	rows uint64
}

// NewReader reads a payload's beginning. The caller wipes the secrets.
func NewReader(r io.Reader) (*Reader, Secrets, error) {
	in := &Reader{r: bufio.NewReader(r), sum: sha256.New()}
	front, err := in.read(len(payloadMagic) + 4)
	if err != nil {
		return nil, Secrets{}, err
	}
	n := binary.BigEndian.Uint32(front[len(payloadMagic):])
	if string(front[:len(payloadMagic)]) != payloadMagic || n > MaxSettings+1024 {
		return nil, Secrets{}, errors.New("backup payload: it does not begin as one")
	}
	head, err := in.read(int(n))
	if err != nil {
		return nil, Secrets{}, err
	}
	defer secret.Wipe(head)
	d := transcript.NewDecoder(head)
	seed, data, settings := d.Fixed(fieldSeed, keySize), d.Fixed(fieldDataKey, keySize), d.Bytes(fieldSettings, MaxSettings)
	if err := d.Done(); err != nil || len(settings) == 0 {
		// The decoder's words could carry a key.
		return nil, Secrets{}, errors.New("backup payload: what opens the node's rows is malformed")
	}
	return in, Secrets{secret.New(clone(seed)), secret.New(clone(data)), clone(settings)}, nil
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }

func (r *Reader) read(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(r.r, b); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("backup payload: it ends too early, or is damaged: %w", err)
	}
	r.sum.Write(b)
	return b, nil
}

// Next gives the next row; more is false after the last one, when count, sum and end were checked.
func (r *Reader) Next() (key string, value []byte, more bool, err error) {
	kind, err := r.read(1)
	if err != nil {
		return "", nil, false, err
	}
	switch kind[0] {
	case frameEnd:
		return "", nil, false, r.end()
	case frameRow:
	default:
		return "", nil, false, fmt.Errorf("backup payload: a frame of type %d is not known", kind[0])
	}
	head, err := r.read(6)
	if err != nil {
		return "", nil, false, err
	}
	n, m := int(binary.BigEndian.Uint16(head)), binary.BigEndian.Uint32(head[2:])
	if n == 0 || n > maxRowKey || m > maxRowValue {
		return "", nil, false, fmt.Errorf("backup payload: a row of %d and %d bytes does not go", n, m)
	}
	k, err := r.read(n)
	if err == nil {
		value, err = r.read(int(m))
	}
	if err != nil {
		return "", nil, false, err
	}
	if key = string(k); key <= r.last {
		return "", nil, false, fmt.Errorf("backup payload: row %q does not stand after %q", key, r.last)
	}
	r.last, r.rows = key, r.rows+1
	return key, value, true, nil
}

func (r *Reader) end() error {
	n, err := r.read(8)
	if err != nil {
		return err
	}
	want := r.sum.Sum(nil)
	got, err := r.read(sha256.Size)
	if err != nil {
		return err
	}
	if binary.BigEndian.Uint64(n) != r.rows || string(got) != string(want) {
		return fmt.Errorf("backup payload: %d rows were read, which is not what was written", r.rows)
	}
	if _, err := io.ReadFull(r.r, make([]byte, 1)); !errors.Is(err, io.EOF) {
		return errors.New("backup payload: something follows its end")
	}
	return nil
}
