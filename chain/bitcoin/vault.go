package bitcoin

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
)

// The suites that sign on Bitcoin: P2WPKH by the first, P2TR by the second.
const (
	SuiteECDSA  = "ecdsa-secp256k1"
	SuiteBIP340 = "bip340-secp256k1"
)

// MaxMoney is the most satoshis that any amount or sum can be: 21 million bitcoin.
const MaxMoney = 21_000_000 * 100_000_000

// A Rate is what a transaction pays per size, in satoshis per 1,000 virtual bytes: 1,000 is 1 sat/vB.
type Rate uint64

// PerVByte is a rate in whole satoshis per virtual byte.
func PerVByte(sats uint64) Rate {
	if sats > math.MaxUint64/1000 {
		return math.MaxUint64
	}
	return Rate(sats * 1000)
}

// Fee is what so many virtual bytes cost, rounded up; the largest number where it does not fit.
func (r Rate) Fee(vsize int) uint64 {
	hi, lo := bits.Mul64(uint64(r), uint64(vsize))
	if hi > 0 || lo > math.MaxUint64-999 {
		return math.MaxUint64
	}
	return (lo + 999) / 1000
}

// RateOf is the rate of a fee, rounded down.
func RateOf(fee uint64, vsize int) Rate {
	hi, lo := bits.Mul64(fee, 1000)
	if vsize <= 0 || hi > 0 {
		return math.MaxUint64
	}
	return Rate(lo / uint64(vsize))
}

// String is "12.345 sat/vB".
func (r Rate) String() string { return fmt.Sprintf("%d.%03d sat/vB", r/1000, r%1000) }

// A Key is a public key of a vault, and how other wallets find it.
type Key struct {
	Public      []byte  // 33 bytes, compressed; of bip340-secp256k1 the internal key, before the tweak
	Fingerprint [4]byte // of the root of its suite (BIP 32)
}

// A Vault is whose transactions are read and built: its keys, and what it commits to. The node derives each key by itself.
type Vault struct {
	Network  Network
	Key      func(suite string, path [3]uint32) (Key, error) // below the root of the suite: department, account, index
	Recovery *Recovery                                       // nil: its Taproot outputs have no tree
	MaxRate  Rate                                            // the highest fee that is taken; 0 takes none
}

// A Spot is where a key lies below its root, and what its output looks like.
type Spot struct {
	Suite string
	Path  [3]uint32
	Plain bool // Taproot without the vault's recovery leaf: coins that lay there before, never change
}

// String is "p2tr m/0/5/7"; "plain" follows where the vault's leaf is not in it.
func (p Spot) String() string {
	s := fmt.Sprintf("%s m/%d/%d/%d", p.form(), p.Path[0], p.Path[1], p.Path[2])
	if p.Plain {
		s += " plain"
	}
	return s
}

func (p Spot) form() Form {
	if p.Suite == SuiteECDSA {
		return PayWitnessKeyHash
	}
	return PayTaproot
}

// An owned script is one of the vault's, derived.
type owned struct {
	Spot
	key    Key
	root   []byte // of the script tree, 32 bytes; nil: none
	script Script
}

// own derives what lies at a spot.
func (v Vault) own(p Spot) (o owned, err error) {
	for _, step := range p.Path {
		if step > hd.MaxStep {
			return o, fmt.Errorf("path has the step %d: %w", step, hd.ErrHardened)
		}
	}
	if p.Suite != SuiteECDSA && p.Suite != SuiteBIP340 {
		return o, fmt.Errorf("suite %.40q signs nothing on Bitcoin", p.Suite)
	}
	o.Spot = p
	if o.key, err = v.Key(p.Suite, p.Path); err != nil {
		return o, fmt.Errorf("the vault has no key at %s: %w", p, err)
	}
	point, err := secp256k1.DecodePoint(o.key.Public)
	if err != nil {
		return o, fmt.Errorf("the vault's key at %s: %w", p, err)
	}
	if p.Suite == SuiteECDSA {
		o.script, o.Plain = WitnessKeyHashScript(o.key.Public), false
		return o, nil
	}
	var root *[32]byte
	if o.Plain = p.Plain && v.Recovery != nil; v.Recovery != nil && !p.Plain {
		r := v.Recovery.Root()
		o.root, root = r[:], &r
	}
	out, err := hd.TapTweak(point, root)
	if err != nil {
		return o, fmt.Errorf("the vault's key at %s: %w", p, err)
	}
	o.script = TaprootScript(out)
	return o, nil
}

// Address is the vault's address at a spot.
func (v Vault) Address(p Spot) (string, error) {
	s, err := v.Script(p)
	if err != nil {
		return "", err
	}
	return v.Network.Address(s)
}

// Script is what an output to the spot holds.
func (v Vault) Script(p Spot) (Script, error) {
	o, err := v.own(p)
	return o.script, err
}

// check refuses a context that a node was given wrongly: our own misuse.
func (v Vault) check() error {
	switch {
	case v.Network.prefix == "":
		return fmt.Errorf("vault: network %q is none", v.Network.Name)
	case v.Key == nil:
		return fmt.Errorf("vault: it has no keys")
	case v.Recovery != nil:
		return v.Recovery.Check()
	}
	return nil
}

// claims are the fields of a packet that say whose an input or output is: key and path for wallets to find, under the type of the suite.
func (o owned) claim(derivation, tapPath byte) psbt.Field {
	value := bytes.Clone(o.key.Fingerprint[:])
	for _, step := range o.Path {
		value = append(value, four(step)...)
	}
	if o.Suite == SuiteECDSA {
		return psbt.Field{Key: append([]byte{derivation}, o.key.Public...), Value: value}
	}
	return psbt.Field{Key: append([]byte{tapPath}, o.key.Public[1:]...), Value: append([]byte{0}, value...)} // 0: it stands in no leaf
}

// readPath reads fingerprint and path of a field of one suite.
func readPath(suite string, f psbt.Field) (fingerprint [4]byte, path [3]uint32, err error) {
	value := f.Value
	if suite == SuiteBIP340 {
		n, rest, err := psbt.Compact(value)
		if err != nil || n != 0 {
			return fingerprint, path, fmt.Errorf("names %d leaves: the vault's key stands in none", n)
		}
		value = rest
	}
	if len(value) != 16 {
		return fingerprint, path, fmt.Errorf("has %d bytes of fingerprint and path; the vault's paths have three steps, 16 bytes", len(value))
	}
	copy(fingerprint[:], value)
	for i := range path {
		path[i] = uint32(value[4*i+4]) | uint32(value[4*i+5])<<8 | uint32(value[4*i+6])<<16 | uint32(value[4*i+7])<<24
	}
	return fingerprint, path, nil
}

// claimed derives the key at a field's path and holds the field to it.
func (v Vault) claimed(suite string, f psbt.Field, plain bool) (owned, error) {
	_, path, err := readPath(suite, f)
	if err != nil {
		return owned{}, err
	}
	o, err := v.own(Spot{suite, path, plain})
	if err != nil {
		return o, err
	}
	want := o.claim(f.Key[0], f.Key[0])
	if !bytes.Equal(want.Key, f.Key) {
		return o, fmt.Errorf("holds key %x, and the vault's at %s is %x", f.Key[1:], o.Spot, want.Key[1:])
	}
	if !bytes.Equal(want.Value, f.Value) {
		return o, fmt.Errorf("holds another root's fingerprint than the vault's, %x", o.key.Fingerprint)
	}
	return o, nil
}
