package tlog

import (
	"crypto"
	"crypto/ed25519"
	"fmt"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/eddsa"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// Keys are those of one operator's log, as the node's identity key signs them (spec/log 5).
type Keys struct {
	ID       statement.ID // of its statement; zero in a draft
	Operator string
	Identity ed25519.PublicKey
	Origin   string            // names the log in checkpoints
	Log      ed25519.PublicKey // signs checkpoints
	Name     string            // names the node where it cosigns
	Witness  ed25519.PublicKey // cosigns
	Created  time.Time

	LogProof, WitnessProof []byte // signatures by the two keys: nobody names another's as its own
}

// KeysFor are the keys of an operator's log, with proofs that whoever names them has them.
func KeysFor(operator string, identity crypto.Signer, generation uint64, created time.Time) Keys {
	public := identity.Public().(ed25519.PublicKey)
	log, witness := Derive(identity, generation)
	defer Forget(log, witness)
	k := Keys{
		Operator: operator, Identity: public, Origin: Origin(public, generation), Log: log.Public().(ed25519.PublicKey),
		Name: WitnessName(public, generation), Witness: witness.Public().(ed25519.PublicKey), Created: created.UTC().Truncate(time.Second),
	}
	return k.Prove(log, witness)
}

// Prove adds the signatures of the log's two keys over all that the statement says. A key that does not sign proves nothing, and there is no statement then.
func (k Keys) Prove(log, witness crypto.Signer) Keys {
	k.LogProof, _ = eddsa.SignBy(log, k.possession(transcript.LogPossession))
	k.WitnessProof, _ = eddsa.SignBy(witness, k.possession(transcript.WitnessPossession))
	return k
}

// possession is what a key signs to show that who names it has it: a tree under a label of its own, which begins with a byte that no
// checkpoint and no cosigned message begins with.
func (k Keys) possession(label transcript.Label) []byte {
	h := transcript.New(label).Bytes([]byte(k.Operator)).Bytes(k.Identity).Bytes([]byte(k.Origin)).Bytes(k.Log).Bytes([]byte(k.Name)).Bytes(k.Witness)
	return h.Uint(uint64(k.Created.Unix())).Tree()
}

// Shares says whether two logs' keys have a key in common, in whichever role.
func (k Keys) Shares(o Keys) bool {
	for _, a := range []ed25519.PublicKey{k.Log, k.Witness} {
		if a.Equal(o.Identity) || a.Equal(o.Log) || a.Equal(o.Witness) || k.Identity.Equal(o.Log) || k.Identity.Equal(o.Witness) {
			return true
		}
	}
	return false
}

// Origin names a log: the node that keeps it, and after how many restores from a copy it began. A log that was set back is
// another one from then on, or two histories would bear one name.
func Origin(identity ed25519.PublicKey, generation uint64) string {
	return fmt.Sprintf("ostraka.log/%x/%d", []byte(identity), generation)
}

// OriginOf says whether a log is, or was, that of a node with this identity.
func OriginOf(origin string, identity ed25519.PublicKey) bool {
	return strings.HasPrefix(origin, strings.TrimSuffix(Origin(identity, 0), "0"))
}

// WitnessName names a node as a witness. A node whose store was set back has forgotten what it cosigned, and is another witness from then on, or it
// could cosign a step back.
func WitnessName(identity ed25519.PublicKey, generation uint64) string {
	return fmt.Sprintf("ostraka.witness/%x/%d", []byte(identity), generation)
}

// Derive gives the two private keys of a node's log, which follow from its identity's: whoever has the one has all three, but no signature
// of one key can serve for another. Cosignatures do not say the witness's name, so each generation has keys of its own. They lie where the identity's does.
func Derive(identity crypto.Signer, generation uint64) (log, witness crypto.Signer) {
	of := func(label transcript.Label) crypto.Signer {
		from := func(seed []byte) [32]byte { return transcript.NewSecret(label).Bytes(seed).Uint(generation).Sum256() }
		switch k := identity.(type) {
		case ed25519.PrivateKey:
			s := from(k[:ed25519.SeedSize])
			defer secret.Wipe(s[:])
			return ed25519.NewKeyFromSeed(s[:])
		case interface {
			Derive(func(seed []byte) [32]byte) crypto.Signer
		}:
			return k.Derive(from)
		}
		panic(fmt.Sprintf("tlog: keys cannot be derived of an identity that is %T", identity))
	}
	return of(transcript.LogKey), of(transcript.WitnessKey)
}

// Forget overwrites derived keys.
func Forget(keys ...crypto.Signer) {
	for _, key := range keys {
		switch k := key.(type) {
		case ed25519.PrivateKey:
			secret.Wipe(k)
		case interface{ Wipe() }:
			k.Wipe()
		}
	}
}

// Statement writes the keys and checks them.
func (k Keys) Statement(salt statement.Salt) (statement.Statement, error) {
	if err := k.validate(); err != nil {
		return statement.Statement{}, err
	}
	var b statement.Block
	b = b.Add("operator", k.Operator).AddHex("identity", k.Identity).Add("origin", k.Origin).AddHex("log-key", k.Log).AddHex("log-proof", k.LogProof)
	b = b.Add("witness", k.Name).AddHex("witness-key", k.Witness).AddHex("witness-proof", k.WitnessProof).AddTime("created", k.Created)
	return statement.Build(statement.Log, b, salt)
}

// KeysOf gives a log statement its meaning, and checks that who made it has the keys that it names. Whether the identity signed it, and is the operator's, the caller checks.
func KeysOf(s statement.Statement) (Keys, error) {
	if err := s.Require(statement.Log); err != nil {
		return Keys{}, err
	}
	f := s.Fields()
	k := Keys{
		ID: s.ID(), Operator: f.Get("operator"), Identity: f.Hex("identity"), Origin: f.Get("origin"), Log: f.Hex("log-key"),
		Name: f.Get("witness"), Witness: f.Hex("witness-key"), Created: f.Time("created"), LogProof: f.Hex("log-proof"), WitnessProof: f.Hex("witness-proof"),
	}
	return k, k.validate()
}

func (k Keys) validate() error {
	for name, key := range map[string]ed25519.PublicKey{"identity": k.Identity, "log-key": k.Log, "witness-key": k.Witness} {
		if err := signet.CheckIdentity(key); err != nil {
			return fmt.Errorf("log statement: %s: %w", name, err)
		}
	}
	if k.Log.Equal(k.Identity) || k.Witness.Equal(k.Identity) || k.Log.Equal(k.Witness) {
		return fmt.Errorf("log statement of %s: one key stands for two uses", k.Operator)
	}
	generation, err := k.Generation()
	if err != nil || k.Origin != Origin(k.Identity, generation) {
		return fmt.Errorf("log statement of %s: origin %q is not that of identity %x", k.Operator, k.Origin, []byte(k.Identity))
	}
	if k.Name != WitnessName(k.Identity, generation) {
		return fmt.Errorf("log statement of %s: witness %q is not that of origin %q", k.Operator, k.Name, k.Origin)
	}
	// another's key: it would count as its owner's word wherever keys are told apart by themselves, and doubled keys are refused there
	if !ed25519.Verify(k.Log, k.possession(transcript.LogPossession), k.LogProof) {
		return fmt.Errorf("log statement of %s: log-proof is not by the log key that it names", k.Operator)
	}
	if !ed25519.Verify(k.Witness, k.possession(transcript.WitnessPossession), k.WitnessProof) {
		return fmt.Errorf("log statement of %s: witness-proof is not by the witness key that it names", k.Operator)
	}
	return nil
}

// Generation is how many restores lie before the log.
func (k Keys) Generation() (n uint64, err error) {
	_, err = fmt.Sscanf(k.Origin, "ostraka.log/"+fmt.Sprintf("%x", []byte(k.Identity))+"/%d", &n)
	return n, err
}
