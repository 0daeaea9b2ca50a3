package solana

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ostraka/ostraka/chain/effect"
)

// rentPerByte is what an account's byte costs for good in lamports, and rentBytes what each account has beside its data: the
// chain's price since its beginning. It may fall.
const (
	rentPerByte = 6960
	rentBytes   = 128
)

// AccountRent is what the new token account of a wallet costs at most: its size follows from the mint's extensions.
func AccountRent(m Account) uint64 { return (rentBytes + accountSize(m)) * rentPerByte }

// accountSize is how many bytes of data the new token account of a wallet has.
func accountSize(m Account) uint64 {
	size := uint64(tokenSize)
	if m.Program == Token2022 {
		size += 1 + 4 // the account's type; its owner cannot change
		for _, x := range m.Extensions {
			switch x {
			case extTransferFee:
				size += 4 + 8
			case extTransferHook:
				size += 4 + 1
			case extNonTransferable, extPausable:
				size += 4
			}
		}
	}
	return size
}

// associated reads instructions that make a wallet's token account.
func (d *decoder) associated(in instruction) (a action) {
	name := "Create"
	switch {
	case len(in.data) == 0 || len(in.data) == 1 && in.data[0] == 0:
	case len(in.data) == 1 && in.data[0] == 1:
		name = "CreateIdempotent"
	case len(in.data) == 1 && in.data[0] == 2:
		d.fail("Associated Token Account: RecoverNested is not supported")
	default:
		d.fail("Associated Token Account: instruction %x is unknown", in.data)
	}
	k := d.accountsOf(in, "bwrrrr")
	payer, account, wallet, mint, program := k[0], k[1], k[2], k[3], k[5]
	if d.err == nil && (k[4] != System || !isTokenProgram(program)) {
		d.fail("%s: %s and %s are not System and a token program", name, k[4], program)
	}
	if d.err != nil {
		return a
	}
	rule, err := AssociatedAccount(wallet, mint, program)
	if err != nil || rule != account {
		d.fail("%s: the token account of wallet %s for mint %s is %s, not %s", name, wallet, mint, rule, account)
		return a
	}
	if _, again := d.payee[account]; again {
		d.fail("%s: token account %s is made twice", name, account)
	}
	m := d.mint(program, mint, nil)
	if slices.Contains(m.Extensions, extDefaultAccountState) {
		d.fail("%s: new accounts of mint %s may be frozen from the beginning (default account state): pay one that is there, without making it", name, mint)
	}
	cost := AccountRent(m)
	if !d.own(wallet) {
		d.destination(wallet)
		if f := d.reading(wallet); d.err == nil && f.Kind != Wallet && f.Kind != NonceAccount { // tokens for a mint, a token account or a program are lost
			d.fail("%s: %s, which is %s, is no wallet", name, wallet, f)
		}
		a.effects = []effect.Effect{{Operation: effect.Transfer, Chain: d.Chain, Amount: new(big.Int).SetUint64(cost), Destination: wallet.String()}}
	}
	d.payee[account] = Account{Kind: TokenAccount, Program: program, Mint: mint, Owner: wallet}
	a.text = fmt.Sprintf("make token account %s of %s for token %s", account, wallet, about(mint, m))
	if name == "CreateIdempotent" {
		a.text += ", if it is not there"
	}
	a.text += fmt.Sprintf("; %s pays at most %d lamports (%s SOL), which stay in it", payer, cost, units(cost, 9))
	return a
}

// budget reads what the transaction asks to be executed for.
func (d *decoder) budget(in instruction) (a action) {
	d.accountsOf(in, "")
	if d.err != nil {
		return a
	}
	if len(in.data) == 0 {
		d.fail("Compute Budget: no instruction")
		return a
	}
	switch in.data[0] {
	case 2:
		if !d.size(in, "SetComputeUnitLimit", 5) {
			return a
		}
		limit := binary.LittleEndian.Uint32(in.data[1:])
		switch {
		case d.limit != nil:
			d.fail("SetComputeUnitLimit stands twice")
		case limit == 0 || limit > maxUnits:
			d.fail("SetComputeUnitLimit: %d is not in 1 … %d", limit, maxUnits)
		}
		d.limit = &limit
		a.text = fmt.Sprintf("ask for %d compute units", limit)
	case 3:
		if !d.size(in, "SetComputeUnitPrice", 9) {
			return a
		}
		price := binary.LittleEndian.Uint64(in.data[1:])
		if d.price != nil {
			d.fail("SetComputeUnitPrice stands twice")
		}
		d.price = &price
		a.text = fmt.Sprintf("pay %d millionths of a lamport for each compute unit", price)
	case 1:
		d.fail("Compute Budget: RequestHeapFrame is not supported")
	case 4:
		d.fail("Compute Budget: SetLoadedAccountsDataSizeLimit is not supported")
	default:
		d.fail("Compute Budget: instruction %d is unknown", in.data[0])
	}
	return a
}

// MaxMemo bounds a memo in bytes: what the Memo program takes of one.
const MaxMemo = 566

func (d *decoder) memo(in instruction) (a action) {
	d.accountsOf(in, strings.Repeat("s", min(len(in.accounts), MaxSigners)))
	d.memos++
	text := string(in.data)
	switch {
	case d.err != nil:
		return a
	case d.memos > 1:
		d.fail("is a second memo")
	case len(text) == 0 || len(text) > MaxMemo:
		d.fail("memo of %d bytes; want 1 to %d", len(text), MaxMemo)
	case !printable(text): // a line break or a direction mark would write lines of its own
		d.fail("memo %q holds what cannot be printed in one line", text)
	}
	d.remembered = true
	a.text = "memo: " + text
	return a
}

// printable says whether text is one line of visible characters and spaces.
func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// units writes an amount of the smallest unit in whole units, with as few decimal places as are exact.
func units(amount uint64, decimals uint8) string {
	digits := fmt.Sprintf("%0*d", int(decimals)+1, amount)
	point := len(digits) - int(decimals)
	return strings.TrimSuffix(strings.TrimRight(digits[:point]+"."+digits[point:], "0"), ".")
}
