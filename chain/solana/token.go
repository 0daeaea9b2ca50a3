package solana

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"slices"

	"github.com/ostraka/ostraka/chain/effect"
)

// Instructions of the token programs: 1 byte.
const (
	tokApprove         = 4
	tokRevoke          = 5
	tokClose           = 9
	tokTransferChecked = 12
	tokApproveChecked  = 13
	tokTransferFee     = 26
	feeTransferChecked = 1 // the second byte
)

var tokenNames = [...]string{
	"InitializeMint", "InitializeAccount", "InitializeMultisig", "Transfer", "Approve", "Revoke", "SetAuthority", "MintTo", "Burn", "CloseAccount",
	"FreezeAccount", "ThawAccount", "TransferChecked", "ApproveChecked", "MintToChecked", "BurnChecked", "InitializeAccount2", "SyncNative",
	"InitializeAccount3", "InitializeMultisig2", "InitializeMint2", "GetAccountDataSize", "InitializeImmutableOwner", "AmountToUiAmount", "UiAmountToAmount",
	"InitializeMintCloseAuthority", "TransferFeeExtension", "ConfidentialTransferExtension", "DefaultAccountStateExtension", "Reallocate", "MemoTransferExtension",
	"CreateNativeMint", "InitializeNonTransferableMint", "InterestBearingMintExtension", "CpiGuardExtension", "InitializePermanentDelegate", "TransferHookExtension",
	"ConfidentialTransferFeeExtension", "WithdrawExcessLamports", "MetadataPointerExtension", "GroupPointerExtension", "GroupMemberPointerExtension",
	"ConfidentialMintBurnExtension", "ScaledUiAmountExtension", "PausableExtension", "UnwrapLamports", "PermissionedBurnExtension",
}

// why some instructions of the token programs are refused.
var tokenWhy = map[byte]string{
	3: ": it says neither mint nor decimals; use TransferChecked", 6: ": it gives an account or a mint to another",
	8: ": it destroys tokens", 15: ": it destroys tokens", 27: ": nodes cannot see the amount", 42: ": nodes cannot see the amount",
}

func (d *decoder) token(program Key, in instruction, remembered bool) (a action) {
	if len(in.data) == 0 {
		d.fail("%s: no instruction", programName(program))
		return a
	}
	switch tag := in.data[0]; {
	case tag == tokTransferChecked:
		if !d.size(in, "TransferChecked", 10) {
			return a
		}
		return d.pay(program, in, payment{amount: binary.LittleEndian.Uint64(in.data[1:]), decimals: in.data[9], remembered: remembered})
	case tag == tokTransferFee && program == Token2022 && len(in.data) > 1 && in.data[1] == feeTransferChecked:
		if !d.size(in, "TransferCheckedWithFee", 19) {
			return a
		}
		fee := binary.LittleEndian.Uint64(in.data[11:])
		return d.pay(program, in, payment{amount: binary.LittleEndian.Uint64(in.data[2:]), decimals: in.data[10], fee: &fee, remembered: remembered})
	case tag == tokApprove || tag == tokApproveChecked:
		return d.approve(program, in)
	case tag == tokRevoke:
		return d.revoke(program, in)
	case tag == tokClose:
		return d.closeAccount(program, in)
	case int(tag) < len(tokenNames):
		d.fail("%s: %s is not supported%s", programName(program), tokenNames[tag], tokenWhy[tag])
	default:
		d.fail("%s: instruction %d is unknown", programName(program), tag)
	}
	return a
}

// ownAccount wants a token account of a program that its owner, an address of the vault that signs, owns.
func (d *decoder) ownAccount(program, k, owner Key) Account {
	f, made := d.payee[k]
	if !made {
		f = d.reading(k)
	}
	switch {
	case d.err != nil:
	case f.Kind != TokenAccount || f.Program != program:
		d.fail("%s is %s, not a token account of %s", k, f, programName(program))
	case f.Owner != owner: // our key may be the delegate of another's account
		d.fail("token account %s is owned by %s, not by %s", k, f.Owner, owner)
	}
	return f
}

// mint wants a mint whose tokens move as a plain transfer says.
func (d *decoder) mint(program, k Key, decimals *uint8) Account {
	m := d.reading(k)
	switch {
	case d.err != nil:
		return m
	case m.Kind != Mint || m.Program != program:
		d.fail("%s is %s, not a mint of %s", k, m, programName(program))
		return m
	case decimals != nil && *decimals != m.Decimals:
		d.fail("mint %s has %d decimals, the instruction says %d", k, m.Decimals, *decimals)
	case m.Hook != (Key{}):
		d.fail("mint %s calls program %s at each transfer (transfer hook), which is not supported", k, m.Hook)
	}
	for _, x := range m.Extensions {
		switch name := mintExtensions[x]; {
		case name == "":
			d.fail("mint %s has extension %d of Token-2022, which is unknown", k, x)
		case x == extNonTransferable:
			d.fail("mint %s is of tokens that cannot be transferred", k)
		case x == extInterestBearing || x == extScaledAmount: // what people call one token is not what the amount counts
			d.fail("mint %s shows other amounts than it moves (%s), which is not supported", k, name)
		}
	}
	return m
}

// about names a mint with what people should know of it.
func about(k Key, m Account) string {
	s := fmt.Sprintf("%s (%s, %d decimals", k, programName(m.Program), m.Decimals)
	if len(m.Extensions) > 0 {
		s += "; " + extensionNames(m.Extensions)
	}
	return s + ")"
}

// A payment is a transfer of tokens.
type payment struct {
	amount     uint64
	decimals   uint8
	fee        *uint64 // taken from the amount by the mint; nil: TransferChecked
	remembered bool    // a memo stands directly before it
}

func (d *decoder) pay(program Key, in instruction, p payment) (a action) {
	k := d.accountsOf(in, "wrws")
	source, mint, to, owner := k[0], k[1], k[2], k[3]
	m := d.mint(program, mint, &p.decimals)
	taxed := slices.Contains(m.Extensions, extTransferFee)
	from := d.ownAccount(program, source, owner)
	switch {
	case d.err != nil:
		return a
	case source == to:
		d.fail("token account %s pays itself", to)
	case from.Mint != mint:
		d.fail("token account %s holds mint %s, not %s", source, from.Mint, mint)
	case taxed && p.fee == nil:
		d.fail("mint %s takes a fee out of each transfer; use TransferCheckedWithFee, which binds it", mint)
	case !taxed && p.fee != nil:
		d.fail("mint %s takes no fee", mint)
	case p.fee != nil && *p.fee > p.amount:
		d.fail("the mint's fee %d is more than the amount %d", *p.fee, p.amount)
	}
	wallet := d.payeeOf(program, mint, to, p.remembered)
	if d.err != nil {
		return a
	}
	a.text = fmt.Sprintf("transfer %d (%s) of token %s from %s of %s to %s of %s", p.amount, units(p.amount, p.decimals), about(mint, m), source, owner, to, wallet)
	if p.fee != nil {
		a.text += fmt.Sprintf("; the mint keeps %d of it, %d arrive", *p.fee, p.amount-*p.fee)
	}
	if !d.own(wallet) {
		a.effects = []effect.Effect{{Operation: effect.Token, Chain: d.Chain, Contract: mint.String(), Amount: new(big.Int).SetUint64(p.amount), Destination: wallet.String()}}
	}
	return a
}

// payeeOf finds the wallet that owns a token account which is to be paid.
func (d *decoder) payeeOf(program, mint, to Key, remembered bool) Key {
	if made, ok := d.payee[to]; ok {
		if made.Mint != mint || made.Program != program {
			d.fail("token account %s is made for mint %s of %s", to, made.Mint, programName(made.Program))
		}
		return made.Owner
	}
	f := d.reading(to)
	switch {
	case d.err != nil:
		return Key{}
	case f.Kind != TokenAccount || f.Program != program:
		d.fail("pays %s, which is %s, not a token account of %s", to, f, programName(program))
	case f.Mint != mint:
		d.fail("pays %s, which holds mint %s, not %s", to, f.Mint, mint)
	case f.Frozen:
		d.fail("pays %s, which is frozen", to)
	case f.MemoRequired && !remembered:
		d.fail("pays %s, which takes nothing without a memo directly before", to)
	case f.Closer:
		// an empty account that another may close can be made again as theirs, between approval and transfer; only the
		// address by rule is its wallet's for ever
		if rule, err := AssociatedAccount(f.Owner, mint, program); err != nil || rule != to {
			d.fail("pays %s, which another than its owner %s may close and make again as theirs", to, f.Owner)
		}
	}
	d.destination(f.Owner)
	if f.Owner == mint || f.Owner == to {
		d.fail("pays %s, whose owner is %s: it would be lost", to, f.Owner)
	}
	return f.Owner
}

func (d *decoder) approve(program Key, in instruction) (a action) {
	name, needs, n, delegateAt := "Approve", "wrs", 9, 1
	if in.data[0] == tokApproveChecked {
		name, needs, n, delegateAt = "ApproveChecked", "wrrs", 10, 2
	}
	k := d.accountsOf(in, needs)
	if !d.size(in, name, n) {
		return a
	}
	owner := k[len(k)-1]
	account := d.ownAccount(program, k[0], owner)
	mint, decimals := account.Mint, (*uint8)(nil)
	if n == 10 {
		mint, decimals = k[1], &in.data[9]
	}
	m := d.mint(program, mint, decimals)
	if d.err == nil && mint != account.Mint {
		d.fail("token account %s holds mint %s, not %s", k[0], account.Mint, mint)
	}
	if d.err != nil {
		return a
	}
	amount, delegate := binary.LittleEndian.Uint64(in.data[1:]), k[delegateAt]
	a.text = fmt.Sprintf("let %s take up to %d (%s) of token %s out of %s of %s", delegate, amount, units(amount, m.Decimals), about(mint, m), k[0], owner)
	if d.own(delegate) {
		return a
	}
	operation := effect.Allowance
	if amount == math.MaxUint64 {
		operation = effect.Unlimited
	}
	a.effects = []effect.Effect{{Operation: operation, Chain: d.Chain, Contract: mint.String(), Amount: new(big.Int).SetUint64(amount), Destination: delegate.String()}}
	return a
}

func (d *decoder) revoke(program Key, in instruction) (a action) {
	k := d.accountsOf(in, "ws")
	if !d.size(in, "Revoke", 1) {
		return a
	}
	d.ownAccount(program, k[0], k[1])
	a.text = fmt.Sprintf("let nobody but %s take out of token account %s any more", k[1], k[0])
	return a
}

func (d *decoder) closeAccount(program Key, in instruction) (a action) {
	k := d.accountsOf(in, "wws")
	if !d.size(in, "CloseAccount", 1) {
		return a
	}
	f := d.ownAccount(program, k[0], k[2])
	switch {
	case d.err != nil:
		return a
	case !d.own(k[1]):
		d.fail("CloseAccount: what lies in %s would go to %s, which is none of this vault's addresses", k[0], k[1])
	}
	delete(d.payee, k[0])
	d.closed = append(d.closed, k[0])
	a.text = fmt.Sprintf("close token account %s of %s for mint %s; its lamports go to %s", k[0], k[2], f.Mint, k[1])
	return a
}
