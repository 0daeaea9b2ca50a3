package solana

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"

	"github.com/ostraka/ostraka/chain/effect"
)

// Instructions of System: 4 bytes, the lower first.
const (
	sysTransfer        = 2
	sysCreateWithSeed  = 3
	sysAdvanceNonce    = 4
	sysWithdrawNonce   = 5
	sysInitializeNonce = 6
)

var systemNames = [...]string{
	"CreateAccount", "Assign", "Transfer", "CreateAccountWithSeed", "AdvanceNonceAccount", "WithdrawNonceAccount", "InitializeNonceAccount",
	"AuthorizeNonceAccount", "Allocate", "AllocateWithSeed", "AssignWithSeed", "TransferWithSeed", "UpgradeNonceAccount", "CreateAccountAllowPrefund",
}

// why some of System's instructions are refused.
var systemWhy = map[uint32]string{
	0: ": a nonce account is made by CreateAccountWithSeed, whose address needs no key of its own", 1: ": it gives an account to a program",
	7: ": it gives the nonce account to another", 8: ": it makes an account useless as a wallet",
}

// accountsOf takes an instruction's accounts, whose number must be fixed, and notes what it needs of each.
// 's' signs, 'w' is written, 'b' both, 'r' neither.
func (d *decoder) accountsOf(in instruction, needs string) []Key {
	if d.err == nil && len(in.accounts) != len(needs) {
		d.fail("has %d accounts, not %d", len(in.accounts), len(needs))
	}
	keys := make([]Key, len(needs))
	if d.err != nil {
		return keys
	}
	for i, a := range in.accounts {
		u := &d.used[a]
		u.signer = u.signer || needs[i] == 's' || needs[i] == 'b'
		u.writable = u.writable || needs[i] == 'w' || needs[i] == 'b'
		keys[i] = u.key
		if u.signer && !d.accounts[a].signer {
			d.fail("needs the signature of %s, which does not sign", u.key)
		}
	}
	for _, k := range keys {
		if slices.Contains(d.closed, k) {
			d.fail("uses account %s, which an instruction before it closed", k)
		}
	}
	return keys
}

// own says whether an address is the vault's.
func (d *decoder) own(k Key) bool {
	_, own := d.Own(k)
	return own
}

// size refuses data of another length.
func (d *decoder) size(in instruction, name string, n int) bool {
	if d.err == nil && len(in.data) != n { // trailing bytes that nobody would see
		d.fail("%s has %d bytes, not %d", name, len(in.data), n)
	}
	return d.err == nil
}

func (d *decoder) system(in instruction, created *Key) (a action) {
	if len(in.data) < 4 {
		d.fail("System: %d bytes are no instruction", len(in.data))
		return a
	}
	switch tag := binary.LittleEndian.Uint32(in.data); tag {
	case sysTransfer:
		return d.transfer(in)
	case sysCreateWithSeed:
		return d.createNonce(in)
	case sysInitializeNonce:
		return d.initializeNonce(in, created)
	case sysAdvanceNonce:
		return d.advanceNonce(in)
	case sysWithdrawNonce:
		return d.withdrawNonce(in)
	default:
		if int64(tag) < int64(len(systemNames)) {
			d.fail("System: %s is not supported%s", systemNames[tag], systemWhy[tag])
		} else {
			d.fail("System: instruction %d is unknown", tag)
		}
		return a
	}
}

func (d *decoder) transfer(in instruction) (a action) {
	k := d.accountsOf(in, "bw")
	if !d.size(in, "Transfer", 12) {
		return a
	}
	lamports := binary.LittleEndian.Uint64(in.data[4:])
	a.text = fmt.Sprintf("transfer %d lamports (%s SOL) from %s to %s", lamports, units(lamports, 9), k[0], k[1])
	if d.own(k[1]) {
		return a
	}
	d.destination(k[1])
	if f := d.reading(k[1]); d.err == nil && f.Kind != Wallet && f.Kind != NonceAccount {
		d.fail("pays SOL to %s, which is %s: nobody may get it back", k[1], f)
	}
	a.effects = []effect.Effect{{Operation: effect.Transfer, Chain: d.Chain, Amount: new(big.Int).SetUint64(lamports), Destination: k[1].String()}}
	return a
}

// destination refuses what nobody can use.
func (d *decoder) destination(k Key) {
	if slices.Contains(d.sound, k) {
		return
	}
	d.sound = append(d.sound, k)
	if name := noDestinations[k]; name != "" {
		d.fail("pays to %s, which is %s: it would be lost", k, name)
	} else if otherPrograms[k] != "" {
		d.fail("pays to %s, which is the program %s: it would be lost", k, otherPrograms[k])
	} else if !honest(k) {
		d.fail("pays to %s, a point of small or mixed order: no wallet's key is one", k)
	}
}

func (d *decoder) createNonce(in instruction) (a action) {
	const name = "CreateAccountWithSeed"
	if len(in.data) < 44 {
		d.fail("%s has %d bytes: it ends early", name, len(in.data))
		return a
	}
	base, n := Key(in.data[4:36]), binary.LittleEndian.Uint64(in.data[36:])
	if n > maxSeed {
		d.fail("%s: its seed has %d bytes, more than %d", name, n, maxSeed)
		return a
	}
	if !d.size(in, name, 44+int(n)+48) {
		return a
	}
	seed, rest := string(in.data[44:44+n]), in.data[44+n:]
	needs := "bws"
	if len(in.accounts) == 2 {
		needs = "bw"
	}
	k := d.accountsOf(in, needs)
	if d.err != nil {
		return a
	}
	lamports, space, owner := binary.LittleEndian.Uint64(rest), binary.LittleEndian.Uint64(rest[8:]), Key(rest[16:])
	address, err := SeedAddress(base, seed)
	switch {
	case err != nil:
		d.fail("%s: %v", name, err)
	case owner != System || space != nonceSize:
		d.fail("%s: an account of %d bytes owned by %s; nonce accounts alone are made, of %d bytes and System's", name, space, owner, nonceSize)
	case lamports > NonceRent: // nobody is paid, so no limit would count it; in an emergency nothing could be swept of what lies there
		d.fail("%s: %d lamports are to lie in it, and it needs %d at most", name, lamports, uint64(NonceRent))
	case len(k) == 2 && base != k[0] || len(k) == 3 && (base != k[2] || base == k[0]):
		d.fail("%s: base %s is not the account that signs for it", name, base)
	case address != k[1]:
		d.fail("%s: base and seed give %s, not %s", name, address, k[1])
	}
	d.created = &k[1]
	a.text = fmt.Sprintf("create nonce account %s from base %s and seed %q with %d lamports (%s SOL) of %s", k[1], base, seed, lamports, units(lamports, 9), k[0])
	return a
}

// initialized says whether an instruction is one that makes a nonce account somebody's.
func (d *decoder) initialized(in instruction, program Key) bool {
	return program == System && len(in.data) == 36 && in.data[0] == sysInitializeNonce
}

func (d *decoder) initializeNonce(in instruction, created *Key) (a action) {
	k := d.accountsOf(in, "wrr")
	if !d.size(in, "InitializeNonceAccount", 36) {
		return a
	}
	authority := Key(in.data[4:])
	switch {
	case created == nil || *created != k[0]:
		d.fail("InitializeNonceAccount: %s was not created by the instruction before it", k[0])
	case k[1] != recentBlockhashes || k[2] != rent:
		d.fail("InitializeNonceAccount: %s and %s are not the sysvars that it takes", k[1], k[2])
	case !d.own(authority):
		d.fail("InitializeNonceAccount: authority %s is none of this vault's addresses", authority)
	}
	a.text = fmt.Sprintf("make %s the nonce account of %s", k[0], authority)
	return a
}

func (d *decoder) advanceNonce(in instruction) (a action) {
	k := d.accountsOf(in, "wrs")
	if !d.size(in, "AdvanceNonceAccount", 4) {
		return a
	}
	static := slices.Contains(d.message.keys, k[0])
	switch f := d.reading(k[0]); {
	case d.err != nil:
	case d.at != 0:
		d.fail("AdvanceNonceAccount: it serves as the first instruction alone")
	case !static:
		d.fail("AdvanceNonceAccount: %s comes from a lookup table, and the chain would not know the nonce", k[0])
	case k[1] != recentBlockhashes:
		d.fail("AdvanceNonceAccount: %s is not the sysvar of recent blockhashes", k[1])
	case f.Kind != NonceAccount || f.Authority != k[2]:
		d.fail("AdvanceNonceAccount: %s is %s, not a nonce account of %s", k[0], f, k[2])
	case f.Nonce != d.message.blockhash:
		d.fail("AdvanceNonceAccount: the nonce is %s, the message names %s", f.Nonce, d.message.blockhash)
	}
	a.text = fmt.Sprintf("advance nonce account %s of %s", k[0], k[2])
	return a
}

func (d *decoder) withdrawNonce(in instruction) (a action) {
	k := d.accountsOf(in, "wwrrs")
	if !d.size(in, "WithdrawNonceAccount", 12) {
		return a
	}
	lamports := binary.LittleEndian.Uint64(in.data[4:])
	switch f := d.reading(k[0]); {
	case d.err != nil:
	case k[2] != recentBlockhashes || k[3] != rent:
		d.fail("WithdrawNonceAccount: %s and %s are not the sysvars that it takes", k[2], k[3])
	case f.Kind != NonceAccount || f.Authority != k[4]:
		d.fail("WithdrawNonceAccount: %s is %s, not a nonce account of %s", k[0], f, k[4])
	case !d.own(k[1]):
		d.fail("WithdrawNonceAccount: to %s, which is none of this vault's addresses; take it back first, and send it then", k[1])
	}
	a.text = fmt.Sprintf("take %d lamports (%s SOL) out of nonce account %s to %s", lamports, units(lamports, 9), k[0], k[1])
	return a
}
