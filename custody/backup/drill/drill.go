package drill

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
)

// Roles of who drills.
const (
	Guardian = "guardian"
	Operator = "operator"
)

// A Drill is one opened backup of one key.
type Drill struct {
	ID         statement.ID
	Vault      statement.ID
	Key        [32]byte // keyID
	Epoch      [32]byte // hash of the epoch record in force
	Role       string
	By         string        // guardian's or operator's name
	Party      [16]byte      // in that epoch
	Level      charter.Level // of the bundle that an operator restored
	Backup     [32]byte      // its header's hash; zero: not at hand
	Spoiled    []string      // dealers whose rows to this guardian do not all open, by the guardian's word
	Checkpoint []byte        // signed and cosigned
	Created    time.Time
	Proof      []byte // share.Proof, of the guardian's value or the share
	Mask       []byte // likewise, of the operator's mask; nil where the epoch has no guardians
	salt       statement.Salt
}

// Draft begins a drill: what Prove, and ProveMask, are to be called on.
func (d Drill) Draft(salt statement.Salt) Drill {
	d.ID, d.Proof, d.Mask, d.salt = statement.ID{}, nil, nil, salt
	d.Created = d.Created.UTC().Truncate(time.Second)
	return d
}

// Statement writes it.
func (d Drill) Statement() (statement.Statement, error) {
	b := statement.Block{}.AddID("vault", d.Vault).AddHex("key", d.Key[:]).AddHex("epoch", d.Epoch[:]).Add("role", d.Role).Add("by", d.By).AddHex("party", d.Party[:])
	if d.Level != "" {
		b = b.Add("level", string(d.Level))
	}
	if d.Backup != [32]byte{} {
		b = b.AddHex("backup", d.Backup[:])
	}
	b = b.AddList("spoiled", d.Spoiled).AddHex("checkpoint", d.Checkpoint).AddTime("created", d.Created)
	if d.Proof != nil {
		b = b.AddHex("proof", d.Proof)
	}
	if d.Mask != nil {
		b = b.AddHex("mask", d.Mask)
	}
	if err := d.check(); err != nil {
		return statement.Statement{}, fmt.Errorf("drill: %w", err)
	}
	return statement.Build(statement.BackupDrill, b, d.salt)
}

// Of gives a drill its meaning, and checks its form. Check verifies its proofs, and Seen its checkpoint.
func Of(s statement.Statement) (Drill, error) {
	if err := s.Require(statement.BackupDrill); err != nil {
		return Drill{}, err
	}
	f := s.Fields()
	d := Drill{
		ID: s.ID(), Vault: f.ID("vault"), Key: f.ID("key"), Epoch: f.ID("epoch"), Role: f.Get("role"), By: f.Get("by"), Level: charter.Level(f.Get("level")),
		Backup: f.ID("backup"), Spoiled: f.All("spoiled"), Checkpoint: f.Hex("checkpoint"), Created: f.Time("created"), salt: s.Salt(),
	}
	copy(d.Party[:], f.Hex("party"))
	if b := f.Hex("proof"); len(b) > 0 {
		d.Proof = b
	}
	if b := f.Hex("mask"); len(b) > 0 {
		d.Mask = b
	}
	err := d.check()
	if err == nil && d.Proof == nil {
		err = errors.New("proof: there is none")
	}
	if err == nil { // what reads the same must be the same: proofs are over what is written anew
		var again statement.Statement
		if again, err = d.Statement(); err == nil && again.ID() != d.ID {
			err = errors.New("a field is zero that is left out")
		}
	}
	if err != nil {
		return Drill{}, fmt.Errorf("drill %s: %w", s.ID().Short(), err)
	}
	return d, nil
}

// check holds a drill to its form: what a role has no use for would be somebody's room for words.
func (d Drill) check() error {
	for i := 1; i < len(d.Spoiled); i++ {
		if d.Spoiled[i-1] >= d.Spoiled[i] {
			return errors.New("spoiled: not in ascending order")
		}
	}
	switch {
	case d.Role == Guardian && d.Level != "":
		return errors.New("level: a guardian's drill has none")
	case d.Role == Guardian && d.Backup != [32]byte{}:
		return errors.New("backup: a guardian's drill has none")
	case d.Role == Guardian && d.Mask != nil:
		return errors.New("mask: guardians have none")
	case d.Role == Operator && d.Level == "":
		return errors.New("level: an operator's drill names it")
	case d.Role == Operator && len(d.Spoiled) > 0:
		return errors.New("spoiled: an operator's drill has none")
	}
	return nil
}

// about is what a proof is over (spec/backups 8.2): all of the statement but the proofs, and whose secret of which key and epoch it is. The checkpoint in it
// makes the proof not older than that; the rest keeps it from serving for another key, epoch or person.
func (d Drill) about(label transcript.Label) ([]byte, error) {
	key, epoch, party := d.Key, d.Epoch, d.Party
	d.Proof, d.Mask = nil, nil
	s, err := d.Statement()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(s.Bytes())
	return transcript.New(label).Bytes(sum[:]).Bytes(key[:]).Bytes(epoch[:]).Bytes(party[:]).Tree(), nil
}

func (d Drill) prove(label transcript.Label, s group.Scalar, public group.Point, r io.Reader) ([]byte, error) {
	about, err := d.about(label)
	if err != nil {
		return nil, err
	}
	if !public.Group().BaseMul(s).Equal(public) { // what would not verify must not leave: a proof about another value says something of it
		return nil, fmt.Errorf("drill of %s %s, key %x: what was opened is not the value of its point", d.Role, d.By, d.Key[:6])
	}
	p, err := share.Prove(label, about, s, public, r)
	if err != nil {
		return nil, fmt.Errorf("drill of %s %s, key %x: %w", d.Role, d.By, d.Key[:6], err)
	}
	return p.Bytes(), nil
}

// Prove adds the proof that s, with s·G = public, is known: the guardian's value, or the operator's share.
func (d Drill) Prove(s group.Scalar, public group.Point, r io.Reader) (_ Drill, err error) {
	d.Proof, err = d.prove(transcript.DrillProof, s, public, r)
	return d, err
}

// ProveMask adds the proof of an operator's mask.
func (d Drill) ProveMask(m group.Scalar, public group.Point, r io.Reader) (_ Drill, err error) {
	d.Mask, err = d.prove(transcript.DrillMask, m, public, r)
	return d, err
}

// Points are those that a drill is held to, out of the checker's own record and set.
type Points struct {
	Party [16]byte
	Value group.Point // U(x) of the guardian, or the operator's public share
	Mask  group.Point // M(x) of the operator; nil where the epoch has no guardians, and of guardians
}

// Check verifies a drill's proofs (spec/backups 8.2).
func (d Drill) Check(p Points) error {
	if d.Party != p.Party {
		return fmt.Errorf("drill of %s %s: party: %x is not theirs in that epoch", d.Role, d.By, d.Party[:6])
	}
	if (d.Mask == nil) != (p.Mask == nil) {
		return fmt.Errorf("drill of %s %s: mask: a bundle of this epoch has %s, and SOS counts on it", d.Role, d.By, map[bool]string{true: "one", false: "none"}[p.Mask != nil])
	}
	for _, x := range []struct {
		name   string
		label  transcript.Label
		proof  []byte
		public group.Point
	}{{"proof", transcript.DrillProof, d.Proof, p.Value}, {"mask", transcript.DrillMask, d.Mask, p.Mask}} {
		if x.public == nil {
			continue
		}
		if x.public.IsIdentity() { // everybody knows zero
			return fmt.Errorf("drill of %s %s, key %x: %s: its point is zero", d.Role, d.By, d.Key[:6], x.name)
		}
		about, err := d.about(x.label)
		if err != nil {
			return err
		}
		proof, err := share.DecodeProof(x.public.Group(), x.proof)
		if err == nil {
			err = proof.Verify(x.label, about, x.public)
		}
		if err != nil {
			return fmt.Errorf("drill of %s %s, key %x: %s: %w", d.Role, d.By, d.Key[:6], x.name, err)
		}
	}
	return nil
}
