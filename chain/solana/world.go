package solana

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A World is what a node read by itself, from its own endpoint and at commitment "finalized". Of what it did not read
// it says so, and Decode refuses. Nothing in it may come from who proposed the transaction.
type World interface {
	// Account is what an address holds. An address that holds nothing is a Wallet; false: not read.
	Account(address Key) (Account, bool)
	// Table is the addresses that a lookup table holds, at most 256; false: not read, or not there.
	Table(address Key) ([]Key, bool)
	// Recent says whether a hash is one of a block of this chain that is still young enough to name.
	Recent(blockhash Key) bool
}

// Readings are a World of values.
type Readings struct {
	Accounts map[Key]Account
	Tables   map[Key][]Key
	Recents  map[Key]bool
}

// Account returns what was read of an account.
func (r Readings) Account(address Key) (Account, bool) { a, ok := r.Accounts[address]; return a, ok }

// Table returns what was read of a lookup table.
func (r Readings) Table(address Key) ([]Key, bool) { t, ok := r.Tables[address]; return t, ok }

// Recent says whether the hash was read.
func (r Readings) Recent(blockhash Key) bool { return r.Recents[blockhash] }

// A Kind is what an account is.
type Kind uint8

// The kinds. Wallet is the zero value: owned by System and without data, or not there at all.
const (
	Wallet Kind = iota
	NonceAccount
	Mint
	TokenAccount
	Other // a program, or what a program other than System and the two token programs owns
)

func (k Kind) String() string {
	return [...]string{"a wallet", "a nonce account", "a mint", "a token account", "an account of another kind"}[k]
}

// An Account is what decoding needs to know of one account. Amounts are none of them: they change all the time.
type Account struct {
	Kind    Kind
	Program Key // who owns it: SPLToken or Token2022 of Mint and TokenAccount, any of Other; zero else

	Decimals   uint8    // Mint
	Extensions []uint16 // Mint: types of Token-2022, ascending
	Hook       Key      // Mint: the program that each transfer calls; zero: none

	Mint, Owner  Key  // TokenAccount
	Frozen       bool // TokenAccount
	MemoRequired bool // TokenAccount: takes nothing without a memo
	Closer       bool // TokenAccount: somebody else than its owner may close it

	Authority, Nonce Key // NonceAccount
}

// String is the account in words.
func (a Account) String() string {
	switch a.Kind {
	case NonceAccount:
		return fmt.Sprintf("%s of %s with nonce %s", a.Kind, a.Authority, a.Nonce)
	case Mint:
		s := fmt.Sprintf("%s of %s with %d decimals", a.Kind, programName(a.Program), a.Decimals)
		if len(a.Extensions) > 0 {
			s += " and " + extensionNames(a.Extensions)
		}
		if a.Hook != (Key{}) {
			s += " that calls " + a.Hook.String()
		}
		return s
	case TokenAccount:
		s := fmt.Sprintf("%s of %s for mint %s, owned by %s", a.Kind, programName(a.Program), a.Mint, a.Owner)
		for _, f := range []struct {
			set  bool
			text string
		}{{a.Frozen, ", frozen"}, {a.MemoRequired, ", which wants a memo"}, {a.Closer, ", which another may close"}} {
			if f.set {
				s += f.text
			}
		}
		return s
	case Other:
		return fmt.Sprintf("%s, owned by %s", a.Kind, a.Program)
	}
	return a.Kind.String()
}

// check says what no reading can be.
func (a Account) check() error {
	blank := Account{Kind: a.Kind}
	switch a.Kind {
	case Wallet:
	case NonceAccount:
		blank.Authority, blank.Nonce = a.Authority, a.Nonce
	case Mint:
		blank.Program, blank.Decimals, blank.Extensions, blank.Hook = a.Program, a.Decimals, a.Extensions, a.Hook
		if !slices.IsSortedFunc(a.Extensions, strictly) || len(a.Extensions) > maxExtensions {
			return errors.New("its extensions do not ascend, or are too many")
		}
	case TokenAccount:
		blank.Program, blank.Mint, blank.Owner = a.Program, a.Mint, a.Owner
		blank.Frozen, blank.MemoRequired, blank.Closer = a.Frozen, a.MemoRequired, a.Closer
	case Other:
		blank.Program = a.Program
	default:
		return fmt.Errorf("its kind is %d", a.Kind)
	}
	if (a.Kind == Mint || a.Kind == TokenAccount) != isTokenProgram(a.Program) {
		return fmt.Errorf("%s is not owned by %s", a.Kind, a.Program)
	}
	if !a.equal(blank) {
		return fmt.Errorf("%s has fields of another kind", a.Kind)
	}
	return nil
}

// strictly orders a number and the one before it, so that equal ones are out of order.
func strictly(x, before uint16) int {
	if x <= before {
		return -1
	}
	return 1
}

func (a Account) equal(b Account) bool {
	return slices.Equal(a.Extensions, b.Extensions) &&
		a.Kind == b.Kind && a.Program == b.Program && a.Decimals == b.Decimals && a.Hook == b.Hook && a.Mint == b.Mint && a.Owner == b.Owner &&
		a.Frozen == b.Frozen && a.MemoRequired == b.MemoRequired && a.Closer == b.Closer && a.Authority == b.Authority && a.Nonce == b.Nonce
}

// Sizes of accounts in bytes.
const (
	nonceSize     = 80
	mintSize      = 82
	tokenSize     = 165
	multisigSize  = 355
	tableMeta     = 56
	maxTable      = 256
	maxExtensions = 64
	maxAccount    = 10 << 20
)

// ReadAccount reads what an endpoint says of one account: the program that owns it, its data of at most 10 MiB, and
// whether it is a program. Of one that is not there the owner is System and there is no data. What is none of the other
// kinds is Other; bytes that contradict themselves are an error.
func ReadAccount(owner Key, data []byte, executable bool) (Account, error) {
	other := Account{Kind: Other, Program: owner}
	switch {
	case len(data) > maxAccount:
		return Account{}, fmt.Errorf("account: %d bytes of data, more than any has", len(data))
	case executable:
		return other, nil
	case owner == System && len(data) == 0:
		return Account{}, nil
	case owner == System && len(data) == nonceSize:
		le := binary.LittleEndian
		if le.Uint32(data) != 1 || le.Uint32(data[4:]) != 1 { // version "current", state "initialized"
			return other, nil
		}
		return Account{Kind: NonceAccount, Authority: Key(data[8:40]), Nonce: Key(data[40:72])}, nil
	case !isTokenProgram(owner) || len(data) == multisigSize:
		return other, nil
	case owner == SPLToken && len(data) != mintSize && len(data) != tokenSize:
		return other, nil
	case len(data) == mintSize:
		return readMint(owner, data, nil)
	case len(data) == tokenSize:
		return readToken(owner, data, nil)
	case len(data) <= tokenSize:
		return other, nil
	}
	extensions, err := readExtensions(data[tokenSize+1:])
	if err != nil {
		return Account{}, fmt.Errorf("account of token-2022: %w", err)
	}
	switch data[tokenSize] {
	case 1:
		if slices.ContainsFunc(data[mintSize:tokenSize], func(b byte) bool { return b != 0 }) {
			return Account{}, errors.New("mint of token-2022: its padding is not zero")
		}
		return readMint(owner, data[:mintSize], extensions)
	case 2:
		return readToken(owner, data[:tokenSize], extensions)
	}
	return other, nil
}

type extension struct {
	number uint16
	value  []byte
}

// readExtensions reads the type-length-value part of an account of Token-2022.
func readExtensions(b []byte) (all []extension, err error) {
	for len(b) >= 4 {
		number, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		switch {
		case number == 0:
			return all, nil
		case n > len(b)-4:
			return nil, fmt.Errorf("extension %d is longer than the account", number)
		case len(all) == maxExtensions:
			return nil, fmt.Errorf("it has more than %d extensions", maxExtensions)
		case slices.ContainsFunc(all, func(e extension) bool { return e.number == number }):
			return nil, fmt.Errorf("extension %d stands twice", number)
		}
		all = append(all, extension{number, b[4 : 4+n]})
		b = b[4+n:]
	}
	return all, nil
}

func readMint(program Key, data []byte, extensions []extension) (Account, error) {
	if data[45] != 1 {
		return Account{Kind: Other, Program: program}, nil
	}
	a := Account{Kind: Mint, Program: program, Decimals: data[44]}
	for _, e := range extensions {
		a.Extensions = append(a.Extensions, e.number)
		if e.number == extTransferHook {
			if len(e.value) != 64 {
				return Account{}, fmt.Errorf("mint: its transfer hook has %d bytes, not 64", len(e.value))
			}
			a.Hook = Key(e.value[32:])
		}
	}
	slices.Sort(a.Extensions)
	return a, nil
}

func readToken(program Key, data []byte, extensions []extension) (Account, error) {
	state, closer := data[108], binary.LittleEndian.Uint32(data[129:])
	switch {
	case state == 0:
		return Account{Kind: Other, Program: program}, nil
	case state > 2 || closer > 1:
		return Account{}, fmt.Errorf("token account: state %d, close authority %d", state, closer)
	}
	a := Account{Kind: TokenAccount, Program: program, Mint: Key(data[:32]), Owner: Key(data[32:64]), Frozen: state == 2}
	a.Closer = closer == 1 && Key(data[133:165]) != a.Owner
	for _, e := range extensions {
		if e.number == extMemoTransfer {
			if len(e.value) != 1 || e.value[0] > 1 {
				return Account{}, errors.New("token account: whether it wants a memo is not said by one byte")
			}
			a.MemoRequired = e.value[0] == 1
		}
	}
	return a, nil
}

// ReadTable reads the data of an account of the Address Lookup Table program: its addresses.
func ReadTable(data []byte) ([]Key, error) {
	switch {
	case len(data) < tableMeta || (len(data)-tableMeta)%32 != 0 || len(data) > tableMeta+32*maxTable:
		return nil, fmt.Errorf("lookup table: %d bytes", len(data))
	case binary.LittleEndian.Uint32(data) != 1:
		return nil, fmt.Errorf("lookup table: its state is %d, not 1", binary.LittleEndian.Uint32(data))
	}
	keys := []Key{}
	for b := data[tableMeta:]; len(b) > 0; b = b[32:] {
		keys = append(keys, Key(b[:32]))
	}
	return keys, nil
}

// Extensions of Token-2022 that the code names.
const (
	extTransferFee         = 1
	extDefaultAccountState = 6
	extMemoTransfer        = 8
	extNonTransferable     = 9
	extInterestBearing     = 10
	extTransferHook        = 14
	extScaledAmount        = 25
	extPausable            = 26
)

// mintExtensions are those of a mint that are known. Any other is refused.
var mintExtensions = map[uint16]string{
	extTransferFee: "transfer-fee", 3: "mint-close-authority", 4: "confidential-transfer", extDefaultAccountState: "default-account-state",
	extNonTransferable: "non-transferable", extInterestBearing: "interest-bearing", 12: "permanent-delegate", extTransferHook: "transfer-hook",
	16: "confidential-transfer-fee", 18: "metadata-pointer", 19: "token-metadata", 20: "group-pointer", 21: "token-group",
	22: "group-member-pointer", 23: "token-group-member", 24: "confidential-mint-burn", extScaledAmount: "scaled-ui-amount", extPausable: "pausable", 28: "permissioned-burn",
}

func extensionNames(numbers []uint16) string {
	var names []string
	for _, n := range numbers {
		name := mintExtensions[n]
		if name == "" {
			name = fmt.Sprintf("extension-%d", n)
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}
