package breakglass

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// How long a request serves, and how far in the future it may be.
const (
	Life = 7 * 24 * time.Hour
	Skew = 5 * time.Minute
)

// Witnesses are needed: so many persons, of so many organisations.
const (
	LeastWitnesses     = 2
	LeastOrganisations = 2
)

// A Target is a key that is to be rebuilt, in one epoch.
type Target struct {
	Suite  string
	KeyID  [32]byte
	Number uint64
	Epoch  epoch.Hash
}

// A Request is what witnesses sign before anything is opened (spec/breakglass 2.1).
type Request struct {
	ID         statement.ID // zero in a draft
	Circle     string
	Charter    [32]byte // CharterDigest
	Vault      string
	Targets    []Target // by suite, ascending
	Holder     string
	Reason     string
	Plain      bool     // the keys are written unencrypted
	Recipients []string // else to these, of age
	Created    time.Time
}

// CharterDigest (spec/breakglass 2.2) names a charter by its content: SHA-256 of the tree {label, its file as `charter show --write` writes it, its rules}.
func CharterDigest(d charter.Document) [32]byte {
	return transcript.New(transcript.BreakglassCharter).Bytes([]byte(d.File())).Bytes([]byte(d.Policy)).Sum256()
}

// Statement writes the request.
func (r Request) Statement(salt statement.Salt) (statement.Statement, error) {
	if err := r.check(); err != nil {
		return statement.Statement{}, err
	}
	b := statement.Block{}.Add("circle", r.Circle).AddHex("charter", r.Charter[:]).Add("vault", r.Vault)
	for _, t := range r.Targets {
		sub := statement.Block{}.AddHex("key", t.KeyID[:]).AddUint("number", t.Number).AddHex("epoch", t.Epoch[:])
		b = b.AddBlock("suite", t.Suite, sub)
	}
	output := "encrypted"
	if r.Plain {
		output = "plain"
	}
	b = b.Add("holder", r.Holder).Add("reason", r.Reason).Add("output", output).AddList("recipient", r.Recipients).AddTime("created", r.Created)
	return statement.Build(statement.Breakglass, b, salt)
}

// RequestOf gives a statement its meaning, and checks it.
func RequestOf(s statement.Statement) (Request, error) {
	if err := s.Require(statement.Breakglass); err != nil {
		return Request{}, err
	}
	f := s.Fields()
	r := Request{
		ID: s.ID(), Circle: f.Get("circle"), Charter: f.ID("charter"), Vault: f.Get("vault"), Holder: f.Get("holder"), Reason: f.Get("reason"), Plain: f.Get("output") == "plain",
		Recipients: f.All("recipient"), Created: f.Time("created"),
	}
	for _, x := range f.Each("suite") {
		r.Targets = append(r.Targets, Target{x.Value, x.Block.ID("key"), x.Block.Uint("number"), epoch.Hash(x.Block.ID("epoch"))})
	}
	return r, r.check()
}

func (r Request) check() error {
	for i, t := range r.Targets {
		if i > 0 && t.Suite <= r.Targets[i-1].Suite {
			return fmt.Errorf("breakglass: suite: %s is not the next in ascending order", t.Suite)
		}
	}
	for i, x := range r.Recipients {
		if !strings.HasPrefix(x, "age1") {
			return fmt.Errorf("breakglass: recipient %d is no age1… line", i+1) // a private key that somebody pasted is not shown
		}
		if slices.Contains(r.Recipients[:i], x) {
			return fmt.Errorf("breakglass: recipient %d stands twice", i+1)
		}
	}
	if r.Plain != (len(r.Recipients) == 0) {
		return errors.New("breakglass: output: encrypted needs recipients, plain has none")
	}
	return nil
}

// Under (spec/breakglass 2.3) holds a request to the charter and to the time.
func (r Request) Under(d charter.Document, now time.Time) error {
	if r.Circle != d.Circle || r.Charter != CharterDigest(d) {
		return errors.New("breakglass: charter: the statement names another charter than the one given: its people are others'")
	}
	v, ok := d.Vault(r.Vault)
	if !ok {
		return fmt.Errorf("breakglass: vault: the charter has none of the name %s", r.Vault)
	}
	for _, t := range r.Targets {
		if !slices.Contains(v.Suites, t.Suite) {
			return fmt.Errorf("breakglass: suite: vault %s has no key of suite %s", r.Vault, t.Suite)
		}
	}
	switch age := now.Sub(r.Created); {
	case age < -Skew:
		return fmt.Errorf("breakglass: created: %s is in the future: set the clock", statement.FormatTime(r.Created))
	case age >= Life:
		// Signatures that were gathered once and kept would witness a deed that nobody sees.
		return fmt.Errorf("breakglass: created: %s is more than 7 days ago: prepare it anew, and have it signed anew", statement.FormatTime(r.Created))
	}
	return nil
}

// A Witness is a person of the charter who signed a request.
type Witness struct {
	Person       string
	Organisation string
	Key          signet.Key
	Signature    []byte // armored, in its one form
}

// Namespace is what witnesses sign under: ssh-keygen -Y sign -n.
func Namespace() string { return signet.Makes(statement.Breakglass).Namespace() }

// WitnessesOf (spec/breakglass 2.4) verifies signatures over a request: each by a person of the charter whose keys have not ended when it was made; two persons at least, of two
// organisations. A person who signs twice is one. Whether a key was revoked meanwhile no file can say. They come back by name.
func WitnessesOf(s statement.Statement, d charter.Document, armored [][]byte) ([]Witness, error) {
	r, err := RequestOf(s)
	if err != nil {
		return nil, err
	}
	var out []Witness
	for i, a := range armored {
		w, err := witness(s, r, d, a)
		if err != nil {
			return nil, fmt.Errorf("signature %d: %w", i+1, err)
		}
		if !slices.ContainsFunc(out, func(o Witness) bool { return o.Person == w.Person }) {
			out = append(out, w)
		}
	}
	slices.SortFunc(out, func(a, b Witness) int { return strings.Compare(a.Person, b.Person) })
	firms := map[string]bool{}
	var names []string
	for _, w := range out {
		firms[w.Organisation] = true
		names = append(names, w.Person)
	}
	if len(out) < LeastWitnesses || len(firms) < LeastOrganisations {
		return nil, fmt.Errorf("breakglass: %d persons of %d organisations witness it (%s): at least %d of %d must, and nothing is opened before", len(out), len(firms), strings.Join(names, ", "), LeastWitnesses, LeastOrganisations)
	}
	if len(out) > statement.MaxWitnesses {
		return nil, fmt.Errorf("breakglass: %d persons witness it, at most %d are recorded", len(out), statement.MaxWitnesses)
	}
	return out, nil
}

func witness(s statement.Statement, r Request, d charter.Document, armored []byte) (Witness, error) {
	sig, err := signet.Parse(armored)
	if err != nil {
		return Witness{}, err
	}
	h, ok := d.Owner(sig.Key())
	if !ok {
		return Witness{}, fmt.Errorf("%w: %s is no key of a person of the charter", signet.ErrStranger, sig.Key().Fingerprint())
	}
	if !h.Expires.IsZero() && !r.Created.Before(h.Expires) {
		return Witness{}, fmt.Errorf("%s: their keys ended at %s", h.Name, statement.FormatTime(h.Expires))
	}
	if _, err := sig.Verify(signet.Makes(statement.Breakglass), s.Bytes(), []signet.Key{sig.Key()}); err != nil {
		return Witness{}, fmt.Errorf("%s: %w", h.Name, err)
	}
	return Witness{h.Name, h.Organisation, sig.Key(), sig.Armored()}, nil
}

// Target is the one of a suite.
func (r Request) target(suite string) (Target, bool) {
	for _, t := range r.Targets {
		if t.Suite == suite {
			return t, true
		}
	}
	return Target{}, false
}

// Names says whether the request is about this key in this epoch.
func (r Request) Names(k *Key) error {
	rec := k.Record
	t, ok := r.target(rec.Suite)
	switch {
	case !ok || t.KeyID != rec.KeyID:
		return &ForeignError{"key " + hex.EncodeToString(rec.KeyID[:6]), "the statement does not name it"}
	case t.Epoch != rec.Hash() || t.Number != rec.Epoch:
		return &ForeignError{"key " + hex.EncodeToString(rec.KeyID[:6]), fmt.Sprintf("what is here is epoch %d (%v), and the statement names epoch %d (%v)", rec.Epoch, rec.Hash(), t.Number, t.Epoch)}
	}
	return nil
}
