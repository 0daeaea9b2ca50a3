package drill

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/statement"
)

// First lines of the two files of a drill without a network (spec/backups 8.5). Neither holds a secret.
const (
	MagicRequest = "ostraka/1 drill request\n"
	MagicAnswer  = "ostraka/1 drill answer\n"
)

// Bounds of the files.
const (
	MaxKeys    = 256      // of a request, and drills of an answer
	MaxRequest = 64 << 20 // bytes
	MaxAnswer  = MaxKeys * (64 << 10)
	maxRecord  = 64 << 10
	maxPlan    = 64 << 10
	maxSet     = 16 << 20
	maxName    = 64
	maxParties = 256
)

// A Request is what a guardian needs for a drill offline: it says nothing that not everybody may know.
type Request struct {
	Circle     string
	Checkpoint []byte
	Names      []Named // of operators and guardians
	Keys       []Asked
}

// A Named is an operator's or guardian's party, and its name.
type Named struct {
	Party [16]byte
	Name  string
}

// An Asked is one key: the record in force, who guards it and its set, encoded as mpc/epoch and mpc/guard do; the last two are empty where nobody does.
type Asked struct {
	Vault  statement.ID
	Name   string // of the vault
	Record []byte
	Plan   []byte
	Set    []byte
}

const (
	fieldCircle transcript.Tag = iota + 1
	fieldCheckpoint
	fieldNames
	fieldKeys
)

const (
	fieldVault transcript.Tag = iota + 1
	fieldName
	fieldRecord
	fieldPlan
	fieldSet
)

// Encode is the file.
func (r Request) Encode() []byte {
	var e transcript.Encoder
	e.String(fieldCircle, r.Circle).Bytes(fieldCheckpoint, r.Checkpoint)
	e.List(fieldNames, len(r.Names), func(i int, e *transcript.Encoder) { e.Bytes(1, r.Names[i].Party[:]).String(2, r.Names[i].Name) })
	e.List(fieldKeys, len(r.Keys), func(i int, e *transcript.Encoder) {
		k := r.Keys[i]
		e.Bytes(fieldVault, k.Vault[:]).String(fieldName, k.Name).Bytes(fieldRecord, k.Record).Bytes(fieldPlan, k.Plan).Bytes(fieldSet, k.Set)
	})
	return append([]byte(MagicRequest), e.Sum()...)
}

// DecodeRequest reads the file. What it holds is anybody's word: the caller holds record, plan and set to one another.
func DecodeRequest(file []byte) (r Request, err error) {
	body, ok := bytes.CutPrefix(file, []byte(MagicRequest))
	if !ok || len(file) > MaxRequest {
		return r, fmt.Errorf("this is no drill request of at most %d bytes", MaxRequest)
	}
	d := transcript.NewDecoder(body)
	r.Circle, r.Checkpoint = d.String(fieldCircle, maxName), bytes.Clone(d.Bytes(fieldCheckpoint, statement.MaxDrilled))
	d.List(fieldNames, 0, maxParties, func(_ int, d *transcript.Decoder) {
		var n Named
		copy(n.Party[:], d.Fixed(1, len(n.Party)))
		n.Name = d.String(2, maxName)
		r.Names = append(r.Names, n)
	})
	d.List(fieldKeys, 1, MaxKeys, func(_ int, d *transcript.Decoder) {
		var k Asked
		copy(k.Vault[:], d.Fixed(fieldVault, len(k.Vault)))
		k.Name = d.String(fieldName, maxName)
		k.Record, k.Plan, k.Set = bytes.Clone(d.Bytes(fieldRecord, maxRecord)), bytes.Clone(d.Bytes(fieldPlan, maxPlan)), bytes.Clone(d.Bytes(fieldSet, maxSet))
		r.Keys = append(r.Keys, k)
	})
	if err := d.Done(); err != nil {
		return Request{}, fmt.Errorf("read a drill request: %w", err)
	}
	return r, r.check()
}

// check refuses names with which a file could draw on a person's terminal.
func (r Request) check() error {
	if err := statement.CheckText(r.Circle, maxName); err != nil {
		return fmt.Errorf("drill request: circle: %w", err)
	}
	for _, n := range r.Names {
		if err := statement.CheckLabel(n.Name); err != nil {
			return fmt.Errorf("drill request: a name: %w", err)
		}
	}
	for _, k := range r.Keys {
		if err := statement.CheckLabel(k.Name); err != nil {
			return fmt.Errorf("drill request: a vault's name: %w", err)
		}
	}
	return nil
}

// Name is how people call a party.
func (r Request) Name(party [16]byte) (string, bool) {
	for _, n := range r.Names {
		if n.Party == party {
			return n.Name, true
		}
	}
	return "", false
}

// EncodeAnswer is the file with what was proved.
func EncodeAnswer(all []statement.Statement) []byte {
	var e transcript.Encoder
	e.List(1, len(all), func(i int, e *transcript.Encoder) { e.Bytes(1, all[i].Bytes()) })
	return append([]byte(MagicAnswer), e.Sum()...)
}

// DecodeAnswer reads it.
func DecodeAnswer(file []byte) (all []statement.Statement, err error) {
	body, ok := bytes.CutPrefix(file, []byte(MagicAnswer))
	if !ok || len(file) > MaxAnswer {
		return nil, errors.New("this is no drill answer")
	}
	d := transcript.NewDecoder(body)
	d.List(1, 1, MaxKeys, func(_ int, d *transcript.Decoder) {
		raw := d.Bytes(1, statement.MaxBytes)
		if err != nil {
			return
		}
		s, e := statement.ParseKind(raw, statement.BackupDrill)
		if e == nil {
			_, e = Of(s)
		}
		all, err = append(all, s), e
	})
	if done := d.Done(); done != nil {
		err = done
	}
	if err != nil {
		return nil, fmt.Errorf("read a drill answer: %w", err)
	}
	return all, nil
}
