package backup

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ostraka/ostraka/crypto/eddsa"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// Magic begins every file of this package.
const Magic = "ostraka/1 backup\n"

// Bounds of a header.
const (
	MaxKeys       = 256
	MaxRecipients = 32
	MaxSheets     = 16
	MaxHeader     = 128 << 10 // bytes, with its signature
	MaxSize       = 1 << 40   // bytes of a ciphertext
	maxCircle     = 64
	maxName       = 64
	maxPoint      = 33
)

// A Header is what everybody may read of a backup. The node's identity key signs it.
type Header struct {
	Level    charter.Level // export or paper
	Circle   string
	Roster   statement.ID // in force at the node
	Operator string
	Identity ed25519.PublicKey // of the node
	Place    string            // where it is to lie, as the charter names it
	Created  time.Time
	Keys     []Key // by key id, ascending

	// Of an export:
	Recipients int      // who can open it
	Size       int64    // of the ciphertext, in bytes
	Sum        [32]byte // SHA-256 of the ciphertext; of sheets: of the header of the export that they were made from

	// Of sheets:
	Quorum, Count int // so many of so many bring a key's share and mask back
}

// A Key is what a backup has of one of a vault's keys: the operator's own share, and its mask where the vault has an SOS plan.
type Key struct {
	Vault  statement.ID
	Name   string // of the vault
	KeyID  [32]byte
	Suite  string
	Epoch  uint64
	Record [32]byte    // eh: hash of the epoch's record
	Share  group.Point // the share's point in the record
	Mask   group.Point // the mask's; nil: there is none inside
}

// Tags of a header.
const (
	fieldLevel transcript.Tag = iota + 1
	fieldCircle
	fieldRoster
	fieldOperator
	fieldIdentity
	fieldPlace
	fieldCreated
	fieldRecipients
	fieldSize
	fieldSum
	fieldQuorum
	fieldCount
	fieldKeys
)

// Of one key.
const (
	fieldVault transcript.Tag = iota + 1
	fieldName
	fieldKey
	fieldSuite
	fieldEpoch
	fieldRecord
	fieldShare
	fieldMask
)

// Of the signed header.
const (
	fieldBody transcript.Tag = iota + 1
	fieldSignature
)

// GroupOf is the group of a suite's keys.
func GroupOf(suite string) (group.Group, error) {
	switch suite {
	case charter.SuiteECDSA, charter.SuiteBIP340:
		return secp256k1.Group{}, nil
	case charter.SuiteEd25519:
		return edwards25519.Group{}, nil
	}
	return nil, fmt.Errorf("suite %q is not known", suite)
}

// Encode is what the node signs. Its length does not depend on Size and Sum, so that a file's front can be kept free for it (spec/backups 1.3).
func (h Header) Encode() []byte {
	var e transcript.Encoder
	e.String(fieldLevel, string(h.Level)).String(fieldCircle, h.Circle).Bytes(fieldRoster, h.Roster[:]).String(fieldOperator, h.Operator)
	e.Bytes(fieldIdentity, h.Identity).String(fieldPlace, h.Place).Uint(fieldCreated, uint64(h.Created.Unix()))
	e.Uint(fieldRecipients, uint64(h.Recipients)).Uint(fieldSize, uint64(h.Size)).Bytes(fieldSum, h.Sum[:])
	e.Uint(fieldQuorum, uint64(h.Quorum)).Uint(fieldCount, uint64(h.Count))
	return e.List(fieldKeys, len(h.Keys), func(i int, e *transcript.Encoder) {
		k := h.Keys[i]
		e.Bytes(fieldVault, k.Vault[:]).String(fieldName, k.Name).Bytes(fieldKey, k.KeyID[:]).String(fieldSuite, k.Suite)
		e.Uint(fieldEpoch, k.Epoch).Bytes(fieldRecord, k.Record[:]).Bytes(fieldShare, k.Share.Bytes()).Bytes(fieldMask, pointBytes(k.Mask))
	}).Sum()
}

func pointBytes(p group.Point) []byte {
	if p == nil {
		return nil
	}
	return p.Bytes()
}

func decodeBody(b []byte) (h Header, err error) {
	d := transcript.NewDecoder(b)
	h.Level = charter.Level(d.String(fieldLevel, 16))
	h.Circle = d.String(fieldCircle, maxCircle)
	copy(h.Roster[:], d.Fixed(fieldRoster, 32))
	h.Operator = d.String(fieldOperator, maxName)
	h.Identity = d.Fixed(fieldIdentity, ed25519.PublicKeySize)
	h.Place = d.String(fieldPlace, maxName)
	h.Created = time.Unix(int64(d.Uint(fieldCreated, 1<<40)), 0).UTC()
	h.Recipients = int(d.Uint(fieldRecipients, MaxRecipients))
	h.Size = int64(d.Uint(fieldSize, MaxSize))
	copy(h.Sum[:], d.Fixed(fieldSum, 32))
	h.Quorum = int(d.Uint(fieldQuorum, MaxSheets))
	h.Count = int(d.Uint(fieldCount, MaxSheets))
	d.List(fieldKeys, 1, MaxKeys, func(i int, d *transcript.Decoder) { h.Keys = append(h.Keys, decodeKey(d)) })
	if err = d.Done(); err != nil {
		return h, fmt.Errorf("backup header: %w", err)
	}
	return h, h.check()
}

func decodeKey(d *transcript.Decoder) (k Key) {
	copy(k.Vault[:], d.Fixed(fieldVault, 32))
	k.Name = d.String(fieldName, maxName)
	copy(k.KeyID[:], d.Fixed(fieldKey, 32))
	k.Suite = d.String(fieldSuite, 32)
	k.Epoch = d.Uint(fieldEpoch, 1<<62)
	copy(k.Record[:], d.Fixed(fieldRecord, 32))
	share, mask := d.Bytes(fieldShare, maxPoint), d.Bytes(fieldMask, maxPoint)
	if d.Err() != nil {
		return k
	}
	g, err := GroupOf(k.Suite)
	if err != nil {
		d.Fail(fieldSuite, err)
		return k
	}
	if k.Share, err = g.DecodePoint(share); err != nil {
		d.Fail(fieldShare, err)
		return k
	}
	if len(mask) > 0 {
		if k.Mask, err = g.DecodePoint(mask); err != nil {
			d.Fail(fieldMask, err)
		}
	}
	return k
}

// check holds a header to its form; what it says of the circle the reader holds to the charter.
func (h Header) check() error {
	bad := func(field, format string, args ...any) error {
		return fmt.Errorf("backup header: %s: %s", field, fmt.Sprintf(format, args...))
	}
	for _, x := range []struct {
		field string
		err   error
	}{
		{"circle", statement.CheckText(h.Circle, maxCircle)}, {"operator", statement.CheckLabel(h.Operator)},
		{"place", statement.CheckLabel(h.Place)}, {"identity", signet.CheckIdentity(h.Identity)},
	} {
		if x.err != nil {
			return bad(x.field, "%v", x.err)
		}
	}
	switch h.Level {
	case charter.Export:
		if h.Recipients < 1 || h.Quorum != 0 || h.Count != 0 {
			return bad("level", "an export has recipients and no sheets, this one has %d recipients and %d sheets", h.Recipients, h.Count)
		}
	case charter.Paper:
		if h.Recipients != 0 || h.Size != 0 || h.Quorum < 1 || h.Count < h.Quorum || h.Quorum == 1 && h.Count > 1 {
			return bad("level", "sheets have no ciphertext, and k of m of them bring a share back: %d of %d does not go", h.Quorum, h.Count)
		}
	default:
		return bad("level", "%q is not export or paper", h.Level)
	}
	if len(h.Keys) == 0 || len(h.Keys) > MaxKeys {
		return bad("keys", "there are %d, 1 to %d are allowed", len(h.Keys), MaxKeys)
	}
	for i, k := range h.Keys {
		if i > 0 && bytes.Compare(k.KeyID[:], h.Keys[i-1].KeyID[:]) <= 0 {
			return bad("keys", "%x is not the next in ascending order", k.KeyID[:6])
		}
		if err := statement.CheckLabel(k.Name); err != nil {
			return bad("keys: name", "%v", err)
		}
	}
	return nil
}

func (h Header) tree(body []byte) []byte {
	return transcript.New(transcript.NodeBackupHeader).Bytes(body).Tree()
}

// Sign gives the signed header's bytes.
func (h Header) Sign(identity crypto.Signer) ([]byte, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	if !h.Identity.Equal(identity.Public()) {
		return nil, errors.New("backup header: identity: it is not that of the key that signs")
	}
	body := h.Encode()
	sig, err := eddsa.SignBy(identity, h.tree(body))
	if err != nil {
		return nil, fmt.Errorf("backup header: %w", err)
	}
	return wrap(body, sig), nil
}

func wrap(body, sig []byte) []byte {
	var e transcript.Encoder
	return e.Bytes(fieldBody, body).Bytes(fieldSignature, sig).Sum()
}

// SignedSize is how many bytes Sign will give, whatever Size and Sum come to be.
func (h Header) SignedSize() int { return len(wrap(h.Encode(), make([]byte, ed25519.SignatureSize))) }

// ErrSignature says that a header is not signed by the node that it names.
var ErrSignature = errors.New("backup header: it is not signed by the identity key that it names: it was changed, or somebody else made it")

// DecodeHeader reads a signed header, and checks its form and that the identity which it names signed it. Whose identity that is the reader knows.
func DecodeHeader(b []byte) (Header, error) {
	if len(b) > MaxHeader {
		return Header{}, fmt.Errorf("backup header: it has %d bytes, at most %d are allowed", len(b), MaxHeader)
	}
	d := transcript.NewDecoder(b)
	body, sig := d.Bytes(fieldBody, MaxHeader), d.Fixed(fieldSignature, ed25519.SignatureSize)
	if err := d.Done(); err != nil {
		return Header{}, fmt.Errorf("backup header: %w", err)
	}
	h, err := decodeBody(body)
	if err != nil {
		return h, err
	}
	if !ed25519.Verify(h.Identity, h.tree(body), sig) {
		return h, ErrSignature
	}
	return h, nil
}

// Hash names a backup: SHA-256 of its signed header.
func Hash(signed []byte) [32]byte { return sha256.Sum256(signed) }

// Front is what stands in a file before the ciphertext, for a signed header of n bytes; the header follows it.
func Front(n int) []byte { return binary.BigEndian.AppendUint32([]byte(Magic), uint32(n)) }

// ErrForm says that a file is no backup of ours.
var ErrForm = errors.New("this is no export and no receipt of ostraka: its first line is another")

// ReadHeader reads a file's front. What follows in r is the ciphertext.
func ReadHeader(r io.Reader) (signed []byte, h Header, err error) {
	front := make([]byte, len(Magic)+4)
	if _, err := io.ReadFull(r, front); err != nil || string(front[:len(Magic)]) != Magic {
		if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = ErrForm
		}
		return nil, h, err
	}
	n := binary.BigEndian.Uint32(front[len(Magic):])
	if n > MaxHeader {
		return nil, h, fmt.Errorf("backup header: it should have %d bytes, at most %d are allowed", n, MaxHeader)
	}
	signed = make([]byte, n)
	if _, err := io.ReadFull(r, signed); err != nil {
		return nil, h, fmt.Errorf("backup header: the file ends within it: it was cut off: %w", err)
	}
	h, err = DecodeHeader(signed)
	return signed, h, err
}
