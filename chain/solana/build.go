package solana

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// A Step is one instruction to build.
type Step struct {
	program  Key
	accounts []account
	data     []byte
}

// Transfer pays lamports.
func Transfer(from, to Key, lamports uint64) Step {
	return Step{System, []account{{from, true, true}, {to, false, true}}, le64(le32(nil, sysTransfer), lamports)}
}

// A TokenPayment moves tokens from the account that an address of the vault has by rule to the one that a wallet has by rule.
type TokenPayment struct {
	Program       Key // SPLToken or Token2022
	Mint          Key
	Owner, Wallet Key // the vault's address; who receives
	Amount        uint64
	Decimals      uint8
	Fee           *uint64 // what the mint keeps of Amount, where it takes a fee; nil elsewhere
	Open          bool    // also make the wallet's token account, if it is not there; Owner pays
	Source        *Key    // another token account of Owner; nil: the one by rule
	Destination   *Key    // another token account of Wallet, which must be there; nil: the one by rule
}

// Pay is the steps of a payment in tokens.
func Pay(p TokenPayment) ([]Step, error) {
	source, err := AssociatedAccount(p.Owner, p.Mint, p.Program)
	if err != nil {
		return nil, err
	}
	destination, err := AssociatedAccount(p.Wallet, p.Mint, p.Program)
	if err != nil {
		return nil, err
	}
	if p.Source != nil {
		source = *p.Source
	}
	if p.Destination != nil {
		if p.Open {
			return nil, fmt.Errorf("build payment: token account %s cannot be made here: it is not the one by rule", p.Destination)
		}
		destination = *p.Destination
	}
	data := append(le64([]byte{tokTransferChecked}, p.Amount), p.Decimals)
	if p.Fee != nil {
		data = le64(append(le64([]byte{tokTransferFee, feeTransferChecked}, p.Amount), p.Decimals), *p.Fee)
	}
	pay := Step{p.Program, []account{{source, false, true}, {p.Mint, false, false}, {destination, false, true}, {p.Owner, true, false}}, data}
	if !p.Open {
		return []Step{pay}, nil
	}
	open, err := Open(p.Owner, p.Wallet, p.Mint, p.Program)
	return []Step{open, pay}, err
}

// Open makes a wallet's token account by rule, if it is not there; payer pays what it costs.
func Open(payer, wallet, mint, program Key) (Step, error) {
	k, err := AssociatedAccount(wallet, mint, program)
	return Step{AssociatedTokenAccount, []account{
		{payer, true, true}, {k, false, true}, {wallet, false, false}, {mint, false, false}, {System, false, false}, {program, false, false},
	}, []byte{1}}, err
}

// Close closes a token account of owner that holds no tokens, or wrapped SOL; its lamports go to an address of the vault.
func Close(program, tokenAccount, to, owner Key) Step {
	return Step{program, []account{{tokenAccount, false, true}, {to, false, true}, {owner, true, false}}, []byte{tokClose}}
}

// Approve lets a delegate take up to an amount out of a token account of owner; all ones means without a bound.
func Approve(program, tokenAccount, mint, delegate, owner Key, amount uint64, decimals uint8) Step {
	return Step{program, []account{{tokenAccount, false, true}, {mint, false, false}, {delegate, false, false}, {owner, true, false}},
		append(le64([]byte{tokApproveChecked}, amount), decimals)}
}

// Revoke takes every such leave back.
func Revoke(program, tokenAccount, owner Key) Step {
	return Step{program, []account{{tokenAccount, false, true}, {owner, true, false}}, []byte{tokRevoke}}
}

// NonceRent is what a nonce account must hold, in lamports.
const NonceRent = (rentBytes + nonceSize) * rentPerByte

// CreateNonce makes a nonce account of authority, which needs no key of its own: its address follows from base and seed. payer
// pays lamports into it, NonceRent at least.
func CreateNonce(payer, base Key, seed string, authority Key, lamports uint64) (address Key, steps []Step, err error) {
	k, err := SeedAddress(base, seed)
	if err != nil {
		return Key{}, nil, fmt.Errorf("build nonce account: %w", err)
	}
	data := append(le32(nil, sysCreateWithSeed), base[:]...)
	data = append(le64(data, uint64(len(seed))), seed...)
	data = append(le64(le64(data, lamports), nonceSize), System[:]...)
	create := Step{System, []account{{payer, true, true}, {k, false, true}}, data}
	if base != payer {
		create.accounts = append(create.accounts, account{base, true, false})
	}
	initialize := Step{System, []account{{k, false, true}, {recentBlockhashes, false, false}, {rent, false, false}},
		append(le32(nil, sysInitializeNonce), authority[:]...)}
	return k, []Step{create, initialize}, nil
}

// WithdrawNonce takes lamports out of a nonce account of authority to an address of the vault; all of them close it.
func WithdrawNonce(nonce, to, authority Key, lamports uint64) Step {
	return Step{System, []account{{nonce, false, true}, {to, false, true}, {recentBlockhashes, false, false}, {rent, false, false}, {authority, true, false}},
		le64(le32(nil, sysWithdrawNonce), lamports)}
}

// A Request says which transaction to build.
type Request struct {
	Legacy bool // no version byte, and no lookup tables
	Payer  Key  // of the fee

	// Blockhash is that of a recent block, or the value of Nonce, a nonce account of Authority.
	Blockhash Key
	Nonce     *Key // nil: none. Slow approval needs one: a block's hash serves for a minute or two
	Authority Key

	UnitLimit uint32 // compute units; 0: not asked for
	UnitPrice uint64 // millionths of a lamport for each; 0: none

	Memo  string // "": none. It stands directly before the last step
	Steps []Step // none: the nonce is advanced, which ends what else has it

	Tables map[Key][]Key // lookup tables to use, as they were read
}

// Build returns the unsigned form. It refuses what Decode would refuse; where something was not read, IsUnread says what.
func Build(r Request, c Context) (unsigned []byte, err error) {
	steps := slices.Clone(r.Steps)
	if r.Memo != "" {
		memo := Step{program: Memo, data: []byte(r.Memo)}
		steps = slices.Insert(steps, max(0, len(steps)-1), memo)
	}
	var head []Step
	if r.Nonce != nil {
		head = append(head, Step{System, []account{{*r.Nonce, false, true}, {recentBlockhashes, false, false}, {r.Authority, true, false}}, le32(nil, sysAdvanceNonce)})
	}
	if r.UnitLimit != 0 {
		head = append(head, Step{program: ComputeBudget, data: le32([]byte{2}, r.UnitLimit)})
	}
	if r.UnitPrice != 0 {
		head = append(head, Step{program: ComputeBudget, data: le64([]byte{3}, r.UnitPrice)})
	}
	m, err := compile(r, append(head, steps...))
	if err != nil {
		return nil, fmt.Errorf("build Solana transaction: %w", err)
	}
	unsigned, err = Wrap(m.encode(), c)
	if err != nil {
		return nil, fmt.Errorf("build Solana transaction: %w", err)
	}
	return unsigned, nil
}

// Sweep builds the transfer of all that the fee payer has, balance in lamports, less the fee: nothing stays. It has no other steps.
func Sweep(r Request, to Key, balance uint64, c Context) (unsigned []byte, err error) {
	if len(r.Steps) > 0 {
		return nil, fmt.Errorf("build sweep: %d steps beside it; what they move would be missing, or stay", len(r.Steps))
	}
	r.Steps = []Step{Transfer(r.Payer, to, 0)}
	draft, err := Build(r, c)
	if err != nil {
		return nil, err
	}
	t, err := Decode(draft, c)
	if err != nil {
		return nil, err
	}
	if balance <= t.fee {
		return nil, fmt.Errorf("build sweep: %s has %d lamports, and the fee is %d", r.Payer, balance, t.fee)
	}
	r.Steps[0] = Transfer(r.Payer, to, balance-t.fee)
	return Build(r, c)
}

// compile orders the accounts: the payer, signers that are written, other signers, what is written, the rest.
func compile(r Request, steps []Step) (*message, error) {
	all := []account{{r.Payer, true, true}}
	programs := map[Key]bool{}
	merge := func(a account) {
		if i := slices.IndexFunc(all, func(o account) bool { return o.key == a.key }); i >= 0 {
			all[i].signer, all[i].writable = all[i].signer || a.signer, all[i].writable || a.writable
			return
		}
		all = append(all, a)
	}
	for _, s := range steps {
		for _, a := range s.accounts {
			merge(a)
		}
		merge(account{key: s.program})
		programs[s.program] = true
	}
	rank := func(a account) int {
		switch {
		case a.signer && a.writable:
			return 0
		case a.signer:
			return 1
		case a.writable:
			return 2
		}
		return 3
	}
	slices.SortStableFunc(all, func(a, b account) int { return rank(a) - rank(b) })
	m := &message{v0: !r.Legacy, blockhash: r.Blockhash}
	places := map[Key]int{}
	rest := m.static(all, func(a account) bool {
		return a.signer || programs[a.key] || r.Legacy || r.Nonce != nil && a.key == *r.Nonce || !inTables(r.Tables, a.key)
	}, places)
	m.load(rest, r.Tables, places)
	if len(places) > maxAccounts {
		return nil, fmt.Errorf("%d accounts, more than %d", len(places), maxAccounts)
	}
	for _, s := range steps {
		in := instruction{program: uint8(places[s.program]), data: s.data}
		for _, a := range s.accounts {
			in.accounts = append(in.accounts, uint8(places[a.key]))
		}
		m.instructions = append(m.instructions, in)
	}
	return m, nil
}

func inTables(tables map[Key][]Key, k Key) bool {
	for _, t := range tables {
		if slices.Contains(t, k) {
			return true
		}
	}
	return false
}

// static takes the accounts that stand in the message itself, and returns the others.
func (m *message) static(all []account, here func(account) bool, places map[Key]int) (rest []account) {
	for _, a := range all {
		if !here(a) {
			rest = append(rest, a)
			continue
		}
		places[a.key] = len(m.keys)
		m.keys = append(m.keys, a.key)
		switch {
		case a.signer:
			m.signers++
			if !a.writable {
				m.readonlySigned++
			}
		case !a.writable:
			m.readonlyUnsigned++
		}
	}
	return rest
}

// load takes the accounts of lookup tables, in the order of the tables' addresses.
func (m *message) load(rest []account, tables map[Key][]Key, places map[Key]int) {
	var order []Key
	for k := range tables {
		order = append(order, k)
	}
	slices.SortFunc(order, func(a, b Key) int { return slices.Compare(a[:], b[:]) })
	next := len(m.keys)
	for _, writable := range []bool{true, false} {
		for _, k := range order {
			for place, address := range tables[k] {
				if place >= maxTable {
					break
				}
				i := slices.IndexFunc(rest, func(a account) bool { return a.key == address && a.writable == writable })
				if _, done := places[address]; i < 0 || done {
					continue
				}
				places[address] = next
				next++
				m.place(k, uint8(place), writable)
			}
		}
	}
	slices.SortFunc(m.lookups, func(a, b lookup) int { return slices.Compare(a.table[:], b.table[:]) })
}

func (m *message) place(table Key, place uint8, writable bool) {
	i := slices.IndexFunc(m.lookups, func(l lookup) bool { return l.table == table })
	if i < 0 {
		i = len(m.lookups)
		m.lookups = append(m.lookups, lookup{table: table})
	}
	if writable {
		m.lookups[i].writable = append(m.lookups[i].writable, place)
	} else {
		m.lookups[i].readonly = append(m.lookups[i].readonly, place)
	}
}

func le32(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(b, v) }
func le64(b []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(b, v) }
