package backup

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/statement"
)

// FactsMagic begins a file of public facts.
const FactsMagic = "ostraka/1 public facts\n"

// Bounds of such a file. A set has at most guard.MaxDeals proofs of crypto/pve.
const (
	MaxFacts = 4 << 20 // bytes
	maxRoots = 3       // keys of a vault: one of each suite
	maxCert  = 64 << 10
	maxPlan  = 16 << 10
	maxSet   = 5 << 18
)

// Facts (spec/backups 7) are what must be known of a vault's keys to use paper and guardians' keys when no node answers any more. Nothing in them is secret. What the
// bytes are, and that they belong together, whoever uses them checks: this room knows no protocol.
type Facts struct {
	Circle string
	Vault  statement.ID
	Name   string     // of the vault
	Keys   []KeyFacts // 1 to 3, ascending by key id
}

// KeyFacts are those of one key in one epoch.
type KeyFacts struct {
	KeyID [32]byte
	Cert  []byte // final certificate (spec/epochs)
	Plan  []byte // guardians' plan, and what is encrypted to them (spec/guard); both empty: the epoch has no guardians
	Set   []byte
}

const (
	fieldFactsCircle transcript.Tag = iota + 1
	fieldFactsVault
	fieldFactsName
	fieldFactsKeys
)

const (
	fieldFactKey transcript.Tag = iota + 1
	fieldFactCert
	fieldFactPlan
	fieldFactSet
)

// Encode is the file.
func (f Facts) Encode() []byte {
	var e transcript.Encoder
	e.String(fieldFactsCircle, f.Circle).Bytes(fieldFactsVault, f.Vault[:]).String(fieldFactsName, f.Name)
	e.List(fieldFactsKeys, len(f.Keys), func(i int, e *transcript.Encoder) {
		k := f.Keys[i]
		e.Bytes(fieldFactKey, k.KeyID[:]).Bytes(fieldFactCert, k.Cert).Bytes(fieldFactPlan, k.Plan).Bytes(fieldFactSet, k.Set)
	})
	return append([]byte(FactsMagic), e.Sum()...)
}

// DecodeFacts reads the file, in its one form.
func DecodeFacts(b []byte) (f Facts, err error) {
	if len(b) > MaxFacts {
		return f, fmt.Errorf("public facts: the file has %d bytes, at most %d are allowed", len(b), MaxFacts)
	}
	body, ok := bytes.CutPrefix(b, []byte(FactsMagic))
	if !ok {
		return f, errors.New("public facts: this is no file of them: its first line is another")
	}
	d := transcript.NewDecoder(body)
	f.Circle = d.String(fieldFactsCircle, maxCircle)
	copy(f.Vault[:], d.Fixed(fieldFactsVault, 32))
	f.Name = d.String(fieldFactsName, maxName)
	d.List(fieldFactsKeys, 1, maxRoots, func(_ int, d *transcript.Decoder) {
		var k KeyFacts
		copy(k.KeyID[:], d.Fixed(fieldFactKey, 32))
		k.Cert, k.Plan, k.Set = clone(d.Bytes(fieldFactCert, maxCert)), clone(d.Bytes(fieldFactPlan, maxPlan)), clone(d.Bytes(fieldFactSet, maxSet))
		f.Keys = append(f.Keys, k)
	})
	if err := d.Done(); err != nil {
		return f, fmt.Errorf("public facts: %w", err)
	}
	if err := statement.CheckText(f.Circle, maxCircle); err != nil {
		return f, fmt.Errorf("public facts: circle: %w", err)
	}
	if err := statement.CheckLabel(f.Name); err != nil {
		return f, fmt.Errorf("public facts: name: %w", err)
	}
	for i, k := range f.Keys {
		switch {
		case i > 0 && bytes.Compare(k.KeyID[:], f.Keys[i-1].KeyID[:]) <= 0:
			return f, fmt.Errorf("public facts: keys: %x is not the next in ascending order", k.KeyID[:6])
		case (len(k.Plan) == 0) != (len(k.Set) == 0):
			return f, fmt.Errorf("public facts: key %x: a plan without a set, or the reverse", k.KeyID[:6])
		}
	}
	return f, nil
}
