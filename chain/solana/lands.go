package solana

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/bits"
)

// nativeMints are the mints of SOL as a token: an account of theirs has a lamport for each unit that it holds.
var nativeMints = map[Key]bool{
	key("So11111111111111111111111111111111111111112"):  true,
	key("9pan9bMn5HatX4EJdBwg9VgCa7Uz5HL8N1m5D3NdXej9"): true, // of Token-2022
}

// A Holding is what a node read of how much lies in an account. The zero value is an account that is not there.
type Holding struct {
	Lamports uint64
	Size     uint64 // of its data, in bytes
	Amount   uint64 // of a token account, in the token's smallest unit
}

// Holdings are those of the accounts that a transaction writes (Execution), as a node read them.
type Holdings struct {
	Of    map[Key]Holding // an account that is missing is not there
	Least uint64          // lamports that an account without data must hold to stay; 0: not known, and nothing is said of it
}

// rent is what an account with so many bytes of data must hold to stay.
func (h Holdings) rent(size uint64) uint64 {
	hi, lo := bits.Mul64(h.Least, rentBytes+size)
	if hi >= rentBytes {
		return ^uint64(0)
	}
	all, _ := bits.Div64(hi, lo, rentBytes)
	return all
}

// Short says why a transaction cannot land, as far as it hangs on what lies in accounts: nothing is left where it is to be taken, an account would be left with less than it must hold to stay, or
// a token account is frozen. Time may mend that, for what lies there changes with every block. The whole chain's rules are not known here: nil is no promise that it lands.
func (t *Transaction) Short(h Holdings) error {
	_, err := t.Run(h)
	return err
}

// Run is Short, and gives what lies there once it has landed.
func (t *Transaction) Run(h Holdings) (after Holdings, err error) {
	r := &run{t: t, Holdings: Holdings{maps.Clone(h.Of), h.Least}, known: map[Key]Account{}}
	if r.Of == nil {
		r.Of = map[Key]Holding{}
	}
	for _, e := range t.envelope.readings {
		r.known[e.address] = e.account
	}
	payer := t.accounts[0].key
	r.take(payer, t.charged(), "the fee")
	r.stays(payer, h.Of[payer], "once the fee is paid") // the chain asks that before anything else
	for i := range t.message.instructions {
		r.at = i
		if r.instruction(t.message.instructions[i]); r.err != nil {
			return h, r.err
		}
	}
	for _, a := range t.accounts {
		if a.writable {
			if r.stays(a.key, h.Of[a.key], "in the end"); r.Of[a.key].Lamports == 0 {
				r.Of[a.key] = Holding{} // the chain forgets it
			}
		}
	}
	if r.err != nil {
		return h, r.err
	}
	return r.Holdings, nil
}

// charged is the fee that it pays for sure: where it asks for no limit of units the chain counts fewer than the most.
func (t *Transaction) charged() uint64 {
	if _, asked := t.limit(); !asked {
		return t.fee - t.priority
	}
	return t.fee
}

// A run is a transaction on its way through what lies in accounts. It keeps the first error.
type run struct {
	Holdings
	t     *Transaction
	known map[Key]Account
	at    int
	err   error
}

func (r *run) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// take moves lamports out of an account.
func (r *run) take(from Key, lamports uint64, what string) {
	h := r.Of[from]
	if h.Lamports < lamports {
		r.fail("%s has %d lamports left where this node reads, and %s takes %d", from, h.Lamports, what, lamports)
		return
	}
	h.Lamports -= lamports
	r.Of[from] = h
}

func (r *run) give(to Key, lamports uint64) {
	h := r.Of[to]
	if h.Lamports += lamports; h.Lamports < lamports {
		h.Lamports = ^uint64(0)
	}
	r.Of[to] = h
}

// stays holds an account to what it must hold to stay: all of that or nothing. One that held less before, as none can that is new, may stay so: releases of the chain differ in whether it may lose
// or gain, so nothing is said of it.
func (r *run) stays(k Key, before Holding, when string) {
	h := r.Of[k]
	least := r.rent(h.Size)
	little := before.Lamports > 0 && before.Lamports < r.rent(before.Size) && before.Size == h.Size
	if h.Lamports > 0 && h.Lamports < least && !little {
		r.fail("%s would hold %d lamports %s, where this node reads, and the chain wants none or %d in it", k, h.Lamports, when, least)
	}
}

func (r *run) instruction(in instruction) {
	k := make([]Key, len(in.accounts))
	for i, a := range in.accounts {
		k[i] = r.t.accounts[a].key
	}
	what := position(r.at)
	switch program := r.t.accounts[in.program].key; {
	case program == System:
		r.system(k, in.data, what)
	case isTokenProgram(program):
		r.token(k, in.data, what)
	case program == AssociatedTokenAccount:
		r.open(k, len(in.data) == 1 && in.data[0] == 1, what)
	}
}

func (r *run) system(k []Key, data []byte, what string) {
	le := binary.LittleEndian
	switch le.Uint32(data) {
	case sysTransfer:
		r.take(k[0], le.Uint64(data[4:]), what)
		r.give(k[1], le.Uint64(data[4:]))
	case sysCreateWithSeed:
		lamports := le.Uint64(data[len(data)-48:])
		if h := r.Of[k[1]]; h.Lamports > 0 || h.Size > 0 {
			r.fail("%s makes nonce account %s, where something lies already", what, k[1])
		}
		r.take(k[0], lamports, what)
		r.Of[k[1]] = Holding{Lamports: lamports, Size: nonceSize}
	case sysWithdrawNonce:
		lamports, h := le.Uint64(data[4:]), r.Of[k[0]]
		if rest := h.Lamports - min(lamports, h.Lamports); rest > 0 && rest < r.rent(nonceSize) {
			r.fail("%s leaves %d lamports in nonce account %s, and the chain wants none or %d in it", what, rest, k[0], r.rent(nonceSize))
		}
		r.take(k[0], lamports, what)
		r.give(k[1], lamports)
	}
}

// frozen refuses what a frozen account does not do.
func (r *run) frozen(k Key, what string) {
	if r.known[k].Frozen {
		r.fail("%s: token account %s is frozen, and nothing moves out of it until its mint's authority thaws it", what, k)
	}
}

func (r *run) token(k []Key, data []byte, what string) {
	le := binary.LittleEndian
	switch {
	case data[0] == tokTransferChecked:
		r.frozen(k[0], what)
		r.move(k[0], k[1], k[2], le.Uint64(data[1:]), 0, what)
	case data[0] == tokTransferFee:
		r.frozen(k[0], what)
		r.move(k[0], k[1], k[2], le.Uint64(data[2:]), le.Uint64(data[11:]), what)
	case data[0] == tokApprove, data[0] == tokApproveChecked, data[0] == tokRevoke:
		r.frozen(k[0], what)
	case data[0] == tokClose:
		h := r.Of[k[0]]
		switch {
		case r.known[k[0]].Closer:
			r.fail("%s closes token account %s, which another than its owner may close, and nobody else", what, k[0])
		case h.Amount > 0 && !nativeMints[r.known[k[0]].Mint]:
			r.fail("%s closes token account %s, in which %d of the token's smallest unit are left", what, k[0], h.Amount)
		}
		r.give(k[1], h.Lamports)
		r.Of[k[0]] = Holding{}
	}
}

// move is a transfer of tokens, of which the mint keeps a fee.
func (r *run) move(from, mint, to Key, amount, fee uint64, what string) {
	h := r.Of[from]
	if h.Amount < amount {
		r.fail("%s takes %d of token %s out of %s, which holds %d of its smallest unit where this node reads", what, amount, mint, from, h.Amount)
		return
	}
	h.Amount -= amount
	r.Of[from] = h
	payee := r.Of[to]
	payee.Amount += min(amount-min(fee, amount), ^uint64(0)-payee.Amount)
	r.Of[to] = payee
	if nativeMints[mint] {
		r.take(from, amount, what)
		r.give(to, amount)
	}
}

// open makes a wallet's token account, which may be there already.
func (r *run) open(k []Key, maybe bool, what string) {
	h, mint := r.Of[k[1]], r.known[k[3]]
	if h.Size > 0 {
		if !maybe {
			r.fail("%s makes token account %s, which is there already", what, k[1])
		}
		return
	}
	size := accountSize(mint)
	if least := r.rent(size); h.Lamports < least {
		r.take(k[0], least-h.Lamports, what)
		h.Lamports = least
	}
	h.Size = size
	r.Of[k[1]] = h
	r.known[k[1]] = Account{Kind: TokenAccount, Program: k[5], Mint: k[3], Owner: k[2]}
}
