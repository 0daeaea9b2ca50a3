package ceremony

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/dkls"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/pair"
)

// SignRounds is the number of rounds of Sign and Test. After our last message has left, an
// abort means "possibly signed".
const SignRounds = 3

// A Request is the payload of a signing Setup: what all signers must have decided alike.
type Request struct {
	Purpose string   // "transaction", "message", "proof", "drill": one can never serve as another
	Intent  [32]byte // id of the intent
	Path    hd.Path  // below the vault's root, none hardened, at most 8 levels
	Digest  [32]byte // each signer derives it again from the full transaction
}

const (
	fieldPurpose transcript.Tag = iota + 1
	fieldIntent
	fieldPath
	fieldDigest
)

// Encode is the canonical form.
func (r *Request) Encode() []byte {
	var e transcript.Encoder
	e.String(fieldPurpose, r.Purpose).Bytes(fieldIntent, r.Intent[:])
	e.List(fieldPath, len(r.Path), func(i int, e *transcript.Encoder) { e.Uint(1, uint64(r.Path[i])) })
	return e.Bytes(fieldDigest, r.Digest[:]).Sum()
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

// Load makes keys of the rows that Keygen kept: row gives a row's bytes by name, which
// Load wipes. It checks the share against the record (protocols.md 1.5: read back).
func Load(r *epoch.Record, self engine.PartyID, row func(name string) (secret.Bytes, error)) (*Keys, error) {
	k := &Keys{Record: r, Pairs: map[engine.PartyID]*pair.State{}}
	raw, err := row(RowShare)
	if err != nil {
		return nil, err
	}
	g := r.Public.Group()
	k.Share, err = g.DecodeScalar(raw.Expose())
	raw.Wipe()
	if err != nil {
		// The decoder's words could carry the value.
		return nil, errors.New("load share: the row is not a canonical scalar")
	}
	m, ok := r.Member(self)
	if !ok || !g.BaseMul(k.Share).Equal(m.Public) {
		k.Wipe()
		return nil, fmt.Errorf("load share: it does not match our public share in record %v", r.Hash())
	}
	for _, p := range r.Members {
		if p.ID == self {
			continue
		}
		raw, err := row(RowPair(p.ID))
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

// Child is the key at a path below a record's root, and the shift from the root to it.
func Child(r *epoch.Record, path hd.Path) (child *secp256k1.Point, shift *secp256k1.Scalar, err error) {
	x, ok := r.Public.(*secp256k1.Point)
	if !ok {
		return nil, nil, fmt.Errorf("derive %s: suite %s is not derived by BIP 32", path, r.Suite)
	}
	root, err := hd.Root(x, r.ChainCode)
	if err != nil {
		return nil, nil, err
	}
	key, shift, err := root.Derive(path)
	if err != nil {
		return nil, nil, err
	}
	return key.Point, shift, nil
}

// Sign signs a request with the key at its path (protocols.md 2.5). The caller has decided
// that the request's digest is one that policy allows, and checked the Setup's record.
func Sign(s Seat, k *Keys) (engine.Stage[dkls.Signature], error) {
	req, err := DecodeRequest(s.Setup.Payload)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if s.Setup.Protocol != ProtocolSign {
		return nil, fmt.Errorf("sign: setup is of protocol %q", s.Setup.Protocol)
	}
	return signing(s, k, req.Path, req.Digest)
}

// Test tries a pending record: all its members sign a digest that depends on the session
// (protocols.md 1.5 step 4).
func Test(s Seat, k *Keys) (engine.Stage[dkls.Signature], error) {
	if s.Setup.Protocol != ProtocolTest || len(s.Setup.Payload) != 0 || len(s.Setup.Parties) != len(k.Record.Members) {
		return nil, fmt.Errorf("test: setup of protocol %q with %d of %d members is no test", s.Setup.Protocol, len(s.Setup.Parties), len(k.Record.Members))
	}
	return signing(s, k, nil, epoch.TestDigest(k.Record, s.Session))
}

func signing(s Seat, k *Keys, path hd.Path, digest [32]byte) (engine.Stage[dkls.Signature], error) {
	if err := CheckSigners(s, k.Record); err != nil {
		return nil, err
	}
	if k.Record.Suite != epoch.SuiteECDSA {
		return nil, fmt.Errorf("sign: a key of suite %q makes no ECDSA signatures", k.Record.Suite)
	}
	self, _ := s.Setup.Party(s.Self)
	child, shift, err := Child(k.Record, path)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return dkls.Sign(dkls.Params{
		Session: s.Session, KeyID: k.Record.KeyID, Self: self, Signers: s.Setup.Parties, Threshold: k.Record.Threshold,
		Share: k.Share, Publics: k.Record.Publics(), Public: k.Record.Public,
		Tweak: shift, Child: child, Digest: digest, Pairs: k.Pairs, Rand: s.Rand,
	})
}

// CheckSigners holds a Setup's signer list to our own copy of the record: never the
// opener's (protocols.md 0.2).
func CheckSigners(s Seat, r *epoch.Record) error {
	setup := s.Setup
	if setup.KeyID != r.KeyID || setup.Epoch != r.Hash() || setup.Suite != r.Suite || setup.Threshold != r.Threshold {
		return fmt.Errorf("sign: the setup is for another key, epoch, suite or threshold than record %v", r.Hash())
	}
	for _, p := range setup.Parties {
		m, ok := r.Member(p.ID)
		if !ok || m.Index != p.Index || !bytes.Equal(m.Identity, p.Identity) {
			return fmt.Errorf("sign: party %v of the setup is not that member of record %v", p.ID, r.Hash())
		}
	}
	return nil
}
