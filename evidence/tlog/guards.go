package tlog

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/ostraka/ostraka/crypto/transcript"
)

// Guards are what a node publishes of an epoch's second sharing (spec/log 8.6): the plan that it was made under and the backup set, both as the record in the log
// names them by their hashes. This room does not read them.
type Guards struct{ Plan, Set []byte }

// MaxGuards bounds the file, in bytes: the largest set has 48 encryptions of less than 20 KB each.
const MaxGuards = 1 << 20

const (
	maxGuardsPlan = 16 << 10
	guardsFolder  = "guards/"
)

const (
	tagGuardsPlan transcript.Tag = iota + 1
	tagGuardsSet
)

// GuardsPath is the path of the file of the epoch with this record's hash.
func GuardsPath(record [32]byte) string { return guardsFolder + hex.EncodeToString(record[:]) }

// ParseGuardsPath reads it, in its one form.
func ParseGuardsPath(path string) (record [32]byte, err error) {
	name, ok := strings.CutPrefix(path, guardsFolder)
	if _, e := hex.Decode(record[:], []byte(name)[:min(len(name), 64)]); !ok || len(name) != 64 || e != nil || GuardsPath(record) != path {
		return record, &FormatError{"guards path", 0, "path", "is not guards/ and the hash of a record, in hex"}
	}
	return record, nil
}

// Encode is the file.
func (g Guards) Encode() []byte {
	var e transcript.Encoder
	return e.Bytes(tagGuardsPlan, g.Plan).Bytes(tagGuardsSet, g.Set).Sum()
}

// DecodeGuards reads it. Whether plan and set are the record's the caller checks.
func DecodeGuards(b []byte) (g Guards, err error) {
	if len(b) > MaxGuards {
		return g, &FormatError{"guards", 0, "file", fmt.Sprintf("has %d bytes, at most %d are allowed", len(b), MaxGuards)}
	}
	d := transcript.NewDecoder(b)
	g.Plan, g.Set = d.Bytes(tagGuardsPlan, maxGuardsPlan), d.Bytes(tagGuardsSet, MaxGuards)
	if err := d.Done(); err != nil {
		return Guards{}, fmt.Errorf("decode guards: %w", err)
	}
	return g, nil
}
