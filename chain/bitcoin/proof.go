package bitcoin

import (
	"bytes"
	"crypto/sha256"
	"errors"

	"golang.org/x/crypto/ripemd160" // Bitcoin's HASH160

	"github.com/ostraka/ostraka/crypto/group/secp256k1/independent"
	"github.com/ostraka/ostraka/crypto/hd"
)

// A Script is an output's script: whom an address names.
type Script []byte

// TaprootScript is the script of a P2TR address (BIP 341).
func TaprootScript(key hd.OutputKey) Script {
	x := key.XOnly()
	return append(Script{0x51, 0x20}, x[:]...)
}

// WitnessKeyHashScript is the script of a P2WPKH address (BIP 141): of a key of 33 bytes, compressed.
func WitnessKeyHashScript(key []byte) Script { return append(Script{0x00, 0x14}, hash160(key)...) }

func hash160(b []byte) []byte {
	inner := sha256.Sum256(b)
	outer := ripemd160.New()
	outer.Write(inner[:])
	return outer.Sum(nil)
}

// proofTag is BIP 322's tag of signed messages.
const proofTag = "BIP0322-signed-message"

// ProofDigest is what an address's key signs for a statement (BIP 322, "simple"): the digest of a virtual transaction to_sign,
// which spends the only output of another, to_spend, which commits to the statement and to the address. to_spend spends output 2³²−1
// of transaction 0, which is none: no chain ever holds it, so that to_sign spends nothing and is valid nowhere.
func (s Script) ProofDigest(statement []byte) [32]byte {
	spent := s.toSpend(statement)
	outpoint := append(spent[:], zero4...)
	if len(s) == 22 {
		return s.digestV0(outpoint)
	}
	return s.digestV1(outpoint)
}

// Parts that both virtual transactions, and the digests of to_sign, are made of.
var (
	zero4  = make([]byte, 4)                  // a version, sequence, lock time or index of 0
	zero8  = make([]byte, 8)                  // an amount of 0
	output = append(make([]byte, 8), 1, 0x6a) // to_sign's only output: nothing for OP_RETURN
	noCoin = bytes.Repeat(zero8, 4)           // transaction 0
	noNext = []byte{255, 255, 255, 255}
)

// toSpend is the id of to_spend, in the order in which transactions hold it.
func (s Script) toSpend(statement []byte) [32]byte {
	message := tagged(proofTag, statement)
	return doubled(zero4, []byte{1}, noCoin, noNext, []byte{34, 0x00, 32}, message[:], zero4, []byte{1}, zero8, []byte{byte(len(s))}, s, zero4)
}

// toSign is the id of to_sign without its witness.
func (s Script) toSign(statement []byte) [32]byte {
	spent := s.toSpend(statement)
	return doubled(zero4, []byte{1}, spent[:], zero4, []byte{0}, zero4, []byte{1}, output, zero4)
}

// digestV0 is to_sign's digest for P2WPKH (BIP 143, SIGHASH_ALL).
func (s Script) digestV0(outpoint []byte) [32]byte {
	prevouts, sequences, outputs := doubled(outpoint), doubled(zero4), doubled(output)
	code := append(append([]byte{25, 0x76, 0xa9, 20}, s[2:]...), 0x88, 0xac)
	return doubled(zero4, prevouts[:], sequences[:], outpoint, code, zero8, zero4, outputs[:], zero4, []byte{1, 0, 0, 0})
}

// digestV1 is to_sign's digest for P2TR by its key (BIP 341, SIGHASH_DEFAULT).
func (s Script) digestV1(outpoint []byte) [32]byte {
	prevouts, amounts, sequences, outputs := sha256.Sum256(outpoint), sha256.Sum256(zero8), sha256.Sum256(zero4), sha256.Sum256(output)
	scripts := sha256.Sum256(append([]byte{byte(len(s))}, s...))
	return tagged("TapSighash", []byte{0, 0}, zero4, zero4, prevouts[:], amounts[:], scripts[:], sequences[:], outputs[:], []byte{0}, zero4)
}

// tagged is BIP 340's tagged hash.
func tagged(tag string, parts ...[]byte) [32]byte {
	t := sha256.Sum256([]byte(tag))
	return sha256.Sum256(bytes.Join(append([][]byte{t[:], t[:]}, parts...), nil))
}

func doubled(parts ...[]byte) [32]byte {
	once := sha256.Sum256(bytes.Join(parts, nil))
	return sha256.Sum256(once[:])
}

// TaprootProof is BIP 322's simple signature: to_sign's witness, which holds BIP 340's x(R) ‖ s.
func TaprootProof(sig [64]byte) []byte { return append([]byte{1, 64}, sig[:]...) }

// WitnessKeyHashProof is the same for P2WPKH: r ‖ s in DER with SIGHASH_ALL, and the key, 33 bytes.
func WitnessKeyHashProof(sig [64]byte, key []byte) ([]byte, error) {
	s, err := independent.ParseCompact(sig[:])
	if err != nil {
		return nil, err
	}
	der := append(s.DER(), 1)
	return append(append(append([]byte{2, byte(len(der))}, der...), byte(len(key))), key...), nil
}

var (
	errProof   = errors.New("the signature does not verify")
	errWitness = errors.New("the signature is no witness of the address's kind (BIP 322, simple)")
)

// CheckTaprootProof verifies a simple signature over a statement by the key that a P2TR address holds.
func CheckTaprootProof(key hd.OutputKey, statement, proof []byte) error {
	if len(proof) != 66 || !bytes.HasPrefix(proof, []byte{1, 64}) {
		return errWitness
	}
	x, digest := key.XOnly(), TaprootScript(key).ProofDigest(statement)
	return independent.VerifySchnorr(x[:], digest[:], proof[2:])
}

// CheckWitnessKeyHashProof verifies a simple signature over a statement by the key of a P2WPKH address. One signature has one form.
func CheckWitnessKeyHashProof(key, statement, proof []byte) error {
	public, err := independent.ParsePublicKey(key)
	if err != nil {
		return err
	}
	if len(proof) < 3 || proof[0] != 2 || len(proof) < 2+int(proof[1]) || proof[1] == 0 {
		return errWitness
	}
	s, err := independent.ParseDER(proof[2 : 1+proof[1]])
	if err != nil {
		return err
	}
	again, err := WitnessKeyHashProof([64]byte(s.Compact()), key)
	switch digest := WitnessKeyHashScript(key).ProofDigest(statement); {
	case err != nil:
		return err
	case !bytes.Equal(again, proof):
		return errWitness
	case !s.LowS() || !independent.Verify(public, &digest, s):
		return errProof
	}
	return nil
}
