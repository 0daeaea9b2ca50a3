package litesvm

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"filippo.io/edwards25519"
	"github.com/btcsuite/btcd/address/v2/base58"
)

// Private is a private key of tests, another for each name.
func Private(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("LiteSVM: " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// Address is a key's.
func Address(k ed25519.PrivateKey) Key { return Key(k.Public().(ed25519.PublicKey)) }

// Programs, beside System, whose key is zero.
var (
	SPLToken               = Key(base58.Decode("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"))
	Token2022              = Key(base58.Decode("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"))
	AssociatedTokenAccount = Key(base58.Decode("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL"))
	Memo                   = Key(base58.Decode("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"))
)

// A Meta is an account of an instruction.
type Meta struct {
	Key              Key
	Signer, Writable bool
}

// An Instruction may be of any program: what chain/solana signs is less.
type Instruction struct {
	Program  Key
	Accounts []Meta
	Data     []byte
}

// Sign encodes a legacy transaction and signs it with keys, of which the first pays the fee. It is not sent. A key that is missing, and
// lengths above 127, make it panic.
func Sign(blockhash Key, keys []ed25519.PrivateKey, all ...Instruction) (raw []byte) {
	metas := []Meta{{Address(keys[0]), true, true}}
	add := func(m Meta) {
		if i := slices.IndexFunc(metas, func(x Meta) bool { return x.Key == m.Key }); i >= 0 {
			metas[i].Signer, metas[i].Writable = metas[i].Signer || m.Signer, metas[i].Writable || m.Writable
			return
		}
		metas = append(metas, m)
	}
	for _, in := range all {
		for _, m := range in.Accounts {
			add(m)
		}
		add(Meta{Key: in.Program})
	}
	rank := func(m Meta) int { // signers first, and of both kinds those that are written
		r := 0
		if !m.Signer {
			r += 2
		}
		if !m.Writable {
			r++
		}
		return r
	}
	slices.SortStableFunc(metas, func(a, b Meta) int { return rank(a) - rank(b) })
	count := [4]byte{}
	for _, m := range metas {
		count[rank(m)]++
	}
	place := func(k Key) byte {
		return byte(slices.IndexFunc(metas, func(m Meta) bool { return m.Key == k }))
	}
	message := []byte{count[0] + count[1], count[1], count[3], byte(len(metas))}
	for _, m := range metas {
		message = append(message, m.Key[:]...)
	}
	message = append(append(message, blockhash[:]...), byte(len(all)))
	for _, in := range all {
		message = append(message, place(in.Program), byte(len(in.Accounts)))
		for _, m := range in.Accounts {
			message = append(message, place(m.Key))
		}
		if len(metas) > 127 || len(in.Data) > 127 {
			panic("LiteSVM: sign: lengths above 127 are not written here")
		}
		message = append(append(message, byte(len(in.Data))), in.Data...)
	}
	raw = []byte{count[0] + count[1]}
	for _, m := range metas[:raw[0]] {
		i := slices.IndexFunc(keys, func(k ed25519.PrivateKey) bool { return Address(k) == m.Key })
		if i < 0 {
			panic("LiteSVM: sign: there is no key of " + Text(m.Key))
		}
		raw = append(raw, ed25519.Sign(keys[i], message)...)
	}
	return append(raw, message...)
}

// pay sends a transaction that the payer of tests pays, another one each time, with keys beside the payer's.
func (n *Node) pay(t testing.TB, keys []ed25519.PrivateKey, all ...Instruction) {
	t.Helper()
	payer := Private("payer")
	if n.made == 0 {
		n.Airdrop(t, Address(payer), 1_000_000_000_000)
	}
	n.made++
	all = append(all, Instruction{Program: Memo, Data: fmt.Appendf(nil, "%d", n.made)})
	n.Send(t, Sign(n.Blockhash(t), append([]ed25519.PrivateKey{payer}, keys...), all...))
}

// A Token is a mint, of which the payer of tests makes as much as it wants.
type Token struct {
	Mint, Program Key
	Decimals      uint8
}

// Mint makes a mint of Token.
func (n *Node) Mint(t testing.TB, decimals uint8) Token {
	t.Helper()
	return n.mint(t, SPLToken, decimals, 82)
}

// MintWithFee makes a mint of Token-2022 of whose every transfer so many hundredths of a percent stay behind, at most so many units.
func (n *Node) MintWithFee(t testing.TB, decimals uint8, hundredths uint16, most uint64) Token {
	t.Helper()
	payer := Address(Private("payer"))
	config := append(append([]byte{26, 0, 1}, payer[:]...), 1) // TransferFeeExtension, InitializeTransferFeeConfig: who changes it, who takes it
	config = append(config, payer[:]...)
	config = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint16(config, hundredths), most)
	return n.mint(t, Token2022, decimals, 165+1+4+108, config)
}

// mint makes a mint of size bytes, with instructions on it that come before it begins.
func (n *Node) mint(t testing.TB, program Key, decimals uint8, size uint64, before ...[]byte) Token {
	t.Helper()
	payer, own := Address(Private("payer")), Private(fmt.Sprintf("mint %d", n.made))
	at := Address(own)
	var rent uint64
	n.Call(t, &rent, "getMinimumBalanceForRentExemption", size)
	create := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(make([]byte, 4), rent), size)
	all := []Instruction{{Key{}, []Meta{{payer, true, true}, {at, true, true}}, append(create, program[:]...)}}
	for _, data := range before {
		all = append(all, Instruction{program, []Meta{{at, false, true}}, data})
	}
	begin := append(append([]byte{20, decimals}, payer[:]...), 0) // InitializeMint2: who mints, nobody freezes
	n.pay(t, []ed25519.PrivateKey{own}, append(all, Instruction{program, []Meta{{at, false, true}}, begin})...)
	return Token{at, program, decimals}
}

// Give mints an amount into the token account that a wallet has by rule, which is made if it is not there.
func (n *Node) Give(t testing.TB, of Token, wallet Key, amount uint64) (account Key) {
	t.Helper()
	payer := Address(Private("payer"))
	account = associated(wallet, of)
	n.pay(t, nil,
		Instruction{AssociatedTokenAccount, []Meta{
			{payer, true, true}, {account, false, true}, {wallet, false, false}, {of.Mint, false, false}, {Key{}, false, false}, {of.Program, false, false},
		}, []byte{1}}, // CreateIdempotent
		Instruction{of.Program, []Meta{{of.Mint, false, true}, {account, false, true}, {payer, true, false}}, binary.LittleEndian.AppendUint64([]byte{7}, amount)}) // MintTo
	return account
}

// associated is the token account that a wallet has by rule: the first address that is no point of the curve.
func associated(wallet Key, of Token) Key {
	for bump := 255; ; bump-- {
		h := sha256.New()
		for _, part := range [][]byte{wallet[:], of.Program[:], of.Mint[:], {byte(bump)}, AssociatedTokenAccount[:], []byte("ProgramDerivedAddress")} {
			h.Write(part)
		}
		k := h.Sum(nil)
		if _, err := new(edwards25519.Point).SetBytes(k); err != nil {
			return Key(k)
		}
	}
}
