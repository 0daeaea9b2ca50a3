package ceremony

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/dkls"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/frost"
	"github.com/ostraka/ostraka/mpc/guard"
	"github.com/ostraka/ostraka/mpc/pair"
)

// A Request is the payload of a signing Setup: what all signers must have decided alike.
type Request struct {
	Purpose string   // "transaction", "message", "proof", "drill": one can never serve as another
	Intent  [32]byte // id of the intent
	Path    hd.Path  // below the vault's root, none hardened, at most 8 levels
	Digest  [32]byte // Digest of the message, which each signer derives again from the full transaction
	Tree    []byte   // bip340-secp256k1 alone: Merkle root of the output's script tree, 32 bytes; none: empty
}

const (
	fieldPurpose transcript.Tag = iota + 1
	fieldIntent
	fieldPath
	fieldDigest
	fieldTree
)

// Encode is the canonical form.
func (r *Request) Encode() []byte {
	var e transcript.Encoder
	e.String(fieldPurpose, r.Purpose).Bytes(fieldIntent, r.Intent[:])
	e.List(fieldPath, len(r.Path), func(i int, e *transcript.Encoder) { e.Uint(1, uint64(r.Path[i])) })
	return e.Bytes(fieldDigest, r.Digest[:]).Bytes(fieldTree, r.Tree).Sum()
}

// DecodeRequest reads the canonical form.
func DecodeRequest(b []byte) (*Request, error) {
	d, r := transcript.NewDecoder(b), &Request{}
	r.Purpose = d.String(fieldPurpose, 16)
	copy(r.Intent[:], d.Fixed(fieldIntent, 32))
	d.List(fieldPath, 0, hd.MaxDepth, func(_ int, d *transcript.Decoder) {
		r.Path = append(r.Path, uint32(d.Uint(1, 1<<31-1)))
	})
	copy(r.Digest[:], d.Fixed(fieldDigest, 32))
	if r.Tree = d.Bytes(fieldTree, 32); d.Err() == nil && len(r.Tree) != 0 && len(r.Tree) != 32 {
		d.Fail(fieldTree, fmt.Errorf("has %d bytes, neither 0 nor 32", len(r.Tree)))
	}
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode request: %w", err)
	}
	return r, nil
}

// Keys are one member's secrets of one record.
type Keys struct {
	Record *epoch.Record
	Share  group.Scalar
	Pairs  map[engine.PartyID]*pair.State
}

// Wipe forgets them.
func (k *Keys) Wipe() {
	if k.Share != nil {
		k.Share.Wipe()
	}
	for _, p := range k.Pairs {
		p.Wipe()
	}
}

// LoadMask reads the row of a member's mask, which it wipes, and holds it to the record's backup set.
func LoadMask(r *epoch.Record, self engine.PartyID, set *guard.Set, row secret.Bytes) (group.Scalar, error) {
	g := r.Public.Group()
	mask, err := g.DecodeScalar(row.Expose())
	row.Wipe()
	if err != nil {
		// The decoder's words could carry the value.
		return nil, errors.New("load mask: the row is not a canonical scalar")
	}
	m, ok := r.Member(self)
	if !ok || !g.BaseMul(mask).Equal(set.MaskPoint(m.Index)) {
		mask.Wipe()
		return nil, fmt.Errorf("load mask: it does not match our mask's point in record %v", r.Hash())
	}
	return mask, nil
}

// ErrNoPair is what a row function returns for a pair that this node is not to have: an export holds none (protocols.md 5.2).
var ErrNoPair = errors.New("this node holds no state of that pair")

// LoadShare is our share alone, as Load reads it.
func LoadShare(r *epoch.Record, self engine.PartyID, row func(name string) (secret.Bytes, error)) (group.Scalar, error) {
	raw, err := row(RowShare)
	if err != nil {
		return nil, err
	}
	g := r.Public.Group()
	own, err := g.DecodeScalar(raw.Expose())
	raw.Wipe()
	if err != nil {
		// The decoder's words could carry the value.
		return nil, errors.New("load share: the row is not a canonical scalar")
	}
	m, ok := r.Member(self)
	if !ok || !g.BaseMul(own).Equal(m.Public) {
		own.Wipe()
		return nil, fmt.Errorf("load share: it does not match our public share in record %v", r.Hash())
	}
	return own, nil
}

// Load makes keys of the rows that Keygen kept: row gives a row's bytes by name, which
// Load wipes. It checks the share against the record (protocols.md 1.5: read back).
func Load(r *epoch.Record, self engine.PartyID, row func(name string) (secret.Bytes, error)) (*Keys, error) {
	own, err := LoadShare(r, self, row)
	if err != nil {
		return nil, err
	}
	k := &Keys{Record: r, Share: own, Pairs: map[engine.PartyID]*pair.State{}}
	for _, p := range r.Members {
		if p.ID == self || !paired(r.Suite) {
			continue
		}
		raw, err := row(RowPair(p.ID))
		if errors.Is(err, ErrNoPair) {
			continue // whoever signs with this peer is refused there
		}
		if err == nil {
			k.Pairs[p.ID], err = pair.DecodeState(raw)
			raw.Wipe()
		}
		if err != nil {
			k.Wipe()
			return nil, fmt.Errorf("load what we share with party %v: %w", p.ID, err)
		}
	}
	return k, nil
}

// Child is the key at a path below a record's root, and the shift from the root to it (protocols.md 4). For
// bip340-secp256k1 it is the internal key: Taproot's tweak comes on top of it.
func Child(r *epoch.Record, path hd.Path) (child group.Point, shift group.Scalar, err error) {
	return hd.Derive(r.Public, r.ChainCode, path)
}

// Sign signs a request with the key at its path (protocols.md 2.5, 3). The caller has decided that the message is one
// that policy allows, and checked the Setup's record; the request names it by its Digest.
func Sign(s Seat, k *Keys, message []byte) (engine.Stage[Signature], error) {
	req, err := DecodeRequest(s.Setup.Payload)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	digest, err := Digest(k.Record.Suite, message)
	switch {
	case err != nil:
		return nil, fmt.Errorf("sign: %w", err)
	case s.Setup.Protocol != ProtocolSign || req.Digest != digest:
		return nil, fmt.Errorf("sign: setup of protocol %q is not for this message", s.Setup.Protocol)
	case len(req.Tree) > 0 && k.Record.Suite != epoch.SuiteBIP340:
		return nil, fmt.Errorf("sign: suite %s knows no script tree", k.Record.Suite)
	}
	output := frost.Taproot{}
	if k.Record.Suite == epoch.SuiteBIP340 {
		output = frost.KeyPath()
		if len(req.Tree) > 0 {
			output = frost.ScriptTree([32]byte(req.Tree))
		}
	}
	return signing(s, k, req.Path, output, message)
}

// Test tries a pending record: all its members sign a digest that depends on the session
// (protocols.md 1.5 step 4).
func Test(s Seat, k *Keys) (engine.Stage[Signature], error) {
	if s.Setup.Protocol != ProtocolTest || len(s.Setup.Payload) != 0 || len(s.Setup.Parties) != len(k.Record.Members) {
		return nil, fmt.Errorf("test: setup of protocol %q with %d of %d members is no test", s.Setup.Protocol, len(s.Setup.Parties), len(k.Record.Members))
	}
	output := frost.Taproot{}
	if k.Record.Suite == epoch.SuiteBIP340 {
		output = frost.NoTaproot()
	}
	digest := epoch.TestDigest(k.Record, s.Session)
	return signing(s, k, nil, output, digest[:])
}

// PairKey names, to the host, the pairs that a session over a record uses and may burn: by the record, since each has pairs of
// its own. So the test of a pending record and the sessions after it has come into force share locks and flags, and a burn of an older
// epoch does not stop the new one (protocols.md 2.3, 1.5 step 9).
func PairKey(r *epoch.Record) [32]byte { return r.Hash() }

// signing signs a message with the key at a path.
func signing(s Seat, k *Keys, path hd.Path, output frost.Taproot, message []byte) (engine.Stage[Signature], error) {
	if err := CheckSigners(s, k.Record); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	self, _ := s.Setup.Party(s.Self)
	r := k.Record
	child, shift, err := Child(r, path)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if r.Suite == epoch.SuiteECDSA {
		stage, err := dkls.Sign(dkls.Params{
			Session: s.Session, KeyID: PairKey(r), Self: self, Signers: s.Setup.Parties, Threshold: r.Threshold,
			Share: k.Share, Publics: r.Publics(), Public: r.Public,
			Tweak: shift, Child: child, Digest: [32]byte(message), Pairs: k.Pairs, Rand: s.Rand,
		})
		if err != nil {
			return nil, err
		}
		return &then[dkls.Signature, Signature]{s: stage, with: signature}, nil
	}
	stage, err := frost.Sign(frost.Params{
		Session: s.Session, KeyID: r.KeyID, Suite: r.Suite, Self: self, Signers: s.Setup.Parties, Threshold: r.Threshold,
		Share: k.Share, Publics: r.Publics(), Public: r.Public,
		Tweak: shift, Taproot: output, Message: message, Rand: s.Rand,
	})
	if err != nil {
		return nil, err
	}
	return &then[frost.Signature, Signature]{s: stage, with: func(x *frost.Signature) (engine.Outcome[Signature], error) {
		return engine.Outcome[Signature]{Result: &Signature{Bytes: *x}}, nil
	}}, nil
}

// CheckSigners holds a Setup's signer list to our own copy of the record: never the
// opener's (protocols.md 0.2).
func CheckSigners(s Seat, r *epoch.Record) error {
	setup := s.Setup
	if setup.KeyID != r.KeyID || setup.Epoch != r.Hash() || setup.Suite != r.Suite || setup.Threshold != r.Threshold {
		return fmt.Errorf("the setup is for another key, epoch, suite or threshold than record %v", r.Hash())
	}
	for _, p := range setup.Parties {
		m, ok := r.Member(p.ID)
		if !ok || m.Index != p.Index || !bytes.Equal(m.Identity, p.Identity) {
			return fmt.Errorf("party %v of the setup is not that member of record %v", p.ID, r.Hash())
		}
	}
	return nil
}
