package seal

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
)

const (
	fileFormat  = "ostraka key file"
	fileVersion = 2
	macSize     = sha256.Size
)

// fileV1 is the key file of version 1, which is still read: indented JSON in this order, and nothing else.
type fileV1 struct {
	Format   string `json:"format"`
	Version  uint   `json:"version"`
	Provider string `json:"provider"`
	Wrapped  string `json:"wrapped"`  // lower-case hex
	Checksum string `json:"checksum"` // lower-case hex of SHA-256 over the rest
}

// fileV2 is the key file that is written.
type fileV2 struct {
	Format   string   `json:"format"`
	Version  uint     `json:"version"`
	Slots    []slotV2 `json:"slots"`
	MAC      string   `json:"mac"`      // lower-case hex: by the data key, over the slots
	Checksum string   `json:"checksum"` // lower-case hex of SHA-256 over the rest
}

type slotV2 struct {
	Slot
	Wrapped string `json:"wrapped"` // lower-case hex
}

// keyFile is what a key file says, of either version.
type keyFile struct {
	version uint
	slots   []Slot
	wrapped [][]byte // the data key, for each slot
	mac     []byte   // none in version 1
}

// items are the slots as checksum and MAC take them.
func (k keyFile) items() [][]byte {
	out := make([][]byte, len(k.slots))
	for i, s := range k.slots {
		out[i] = s.encode(k.wrapped[i])
	}
	return out
}

// sum is the MAC of the slots under the data key. Who alters a slot's parameters in the file, without having the data key, would
// else have a later rekey wrap a new data key for its own recipient.
func (k keyFile) sum(dek secret.Bytes) ([]byte, error) {
	var key [sha256.Size]byte
	defer secret.Wipe(key[:])
	if err := expand(key[:], dek, transcript.SealKeyFileMAC); err != nil {
		return nil, err
	}
	sum := make([]byte, macSize)
	keyed(sum, key[:], transcript.New(transcript.SealKeyFileMAC).Uint(fileVersion).List(k.items()...).Tree())
	return sum, nil
}

// authentic says whether whoever wrote the slots had the data key. Version 1 has no parameters, and no MAC.
func (k keyFile) authentic(dek secret.Bytes) error {
	if k.version == 1 {
		return nil
	}
	want, err := k.sum(dek)
	if err == nil && !hmac.Equal(want, k.mac) {
		err = fmt.Errorf("%w: its slots were changed by somebody who had not the data key", ErrDamaged)
	}
	return err
}

func (k keyFile) checksum() [32]byte {
	if k.version == 1 {
		return transcript.New(transcript.SealKeyFile).Uint(1).Bytes([]byte(k.slots[0].Kinds())).Bytes(k.wrapped[0]).Sum256()
	}
	return transcript.New(transcript.SealKeyFile).Uint(fileVersion).List(k.items()...).Bytes(k.mac).Sum256()
}

// encode writes the file's bytes, in the version that it has.
func (k keyFile) encode() ([]byte, error) {
	if err := checkSlots(k.slots); err != nil {
		return nil, err
	}
	for i, w := range k.wrapped {
		if len(w) > MaxWrapped {
			return nil, fmt.Errorf("slot %s: wrapped data key has %d bytes, at most %d are allowed", k.slots[i].Name, len(w), MaxWrapped)
		}
	}
	sum := k.checksum()
	if k.version == 1 {
		return indented(fileV1{fileFormat, 1, k.slots[0].Kinds(), hex.EncodeToString(k.wrapped[0]), hex.EncodeToString(sum[:])})
	}
	if len(k.mac) != macSize {
		return nil, fmt.Errorf("the MAC has %d bytes, not %d", len(k.mac), macSize)
	}
	f := fileV2{Format: fileFormat, Version: fileVersion, MAC: hex.EncodeToString(k.mac), Checksum: hex.EncodeToString(sum[:])}
	for i, s := range k.slots {
		f.Slots = append(f.Slots, slotV2{s, hex.EncodeToString(k.wrapped[i])})
	}
	return indented(f)
}

func indented(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false) // people read addresses here
	e.SetIndent("", "  ")
	err := e.Encode(v)
	if err == nil && out.Len() > maxFile {
		err = fmt.Errorf("the key file would have %d bytes, at most %d are allowed", out.Len(), maxFile)
	}
	return out.Bytes(), err
}

// decodeFile accepts exactly the bytes that encode makes: JSON with repeated, unknown or otherwise spelled names is damage. A newer
// version is named as such.
func decodeFile(b []byte) (keyFile, error) {
	damaged := func(err error) (keyFile, error) { return keyFile{}, fmt.Errorf("%w: %w", ErrDamaged, err) }
	var head struct {
		Format  string `json:"format"`
		Version uint   `json:"version"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return damaged(err)
	}
	if head.Format != fileFormat {
		return damaged(fmt.Errorf("format is %q", head.Format))
	}
	var k keyFile
	var err error
	switch head.Version {
	case 1:
		k, err = readV1(b)
	case fileVersion:
		k, err = readV2(b)
	default:
		return keyFile{}, fmt.Errorf("key file has version %d, this program knows 1 and %d", head.Version, fileVersion)
	}
	if err != nil {
		return damaged(err)
	}
	canonical, err := k.encode()
	if err != nil {
		return damaged(err)
	}
	if !bytes.Equal(canonical, b) {
		return damaged(difference(canonical, b))
	}
	return k, nil
}

// difference says where a file first differs from what its content would be written as.
func difference(canonical, b []byte) error {
	want, have := strings.Split(string(canonical), "\n"), strings.Split(string(b), "\n")
	for i := range min(len(want), len(have)) {
		field := strings.SplitN(want[i], `"`, 3)
		switch {
		case want[i] == have[i]:
		case len(field) == 3 && field[1] == "checksum":
			return errors.New("its checksum is not that of the rest: some field was changed")
		default:
			return fmt.Errorf("line %d is not as it was written", i+1)
		}
	}
	return fmt.Errorf("it has %d lines, not %d", len(have), len(want))
}

func readV1(b []byte) (keyFile, error) {
	var f fileV1
	if err := json.Unmarshal(b, &f); err != nil {
		return keyFile{}, err
	}
	wrapped, err := hex.DecodeString(f.Wrapped)
	if err != nil {
		return keyFile{}, fmt.Errorf("wrapped: %w", err)
	}
	s := Slot{Name: MainSlot}
	for kind := range strings.SplitSeq(f.Provider, "+") {
		s.Providers = append(s.Providers, Provider{Kind: kind})
	}
	return keyFile{1, []Slot{s}, [][]byte{wrapped}, nil}, nil
}

func readV2(b []byte) (keyFile, error) {
	var f fileV2
	if err := json.Unmarshal(b, &f); err != nil {
		return keyFile{}, err
	}
	k := keyFile{version: fileVersion}
	for _, s := range f.Slots {
		wrapped, err := hex.DecodeString(s.Wrapped)
		if err != nil {
			return keyFile{}, fmt.Errorf("slot %.40q: wrapped: %w", s.Name, err)
		}
		k.slots, k.wrapped = append(k.slots, s.Slot), append(k.wrapped, wrapped)
	}
	var err error
	if k.mac, err = hex.DecodeString(f.MAC); err != nil {
		return keyFile{}, fmt.Errorf("mac: %w", err)
	}
	return k, nil
}
