package evm

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/ostraka/ostraka/chain/evm/abi"
)

// A Book is what people named beforehand, as a charter holds it: data alone. What it does not name is not understood, and what is not understood is not
// signed. Each address has one part on one chain. At most 1,024 entries of a kind (spec/chain-evm 7).
type Book struct {
	Chains      []Chain
	Tokens      []Token
	Collections []Collection
	Contracts   []Contract
	Documents   []Document
	Codes       []Code
	Delays      []Delay
}

// A Chain is how one EVM chain differs from others.
type Chain struct {
	ID          uint64   // 1 … MaxChainID
	Coin        string   // what people call the own coin: ETH, POL; 1 to 64 printable ASCII characters, or nothing where they are told elsewhere
	SLIP44      uint32   // of the own coin: 60 for ether
	Dynamic     bool     // it has EIP-1559
	SetCode     bool     // it has EIP-7702
	AccessLists bool     // EIP-2930's lists may stand in transactions
	DataFee     *big.Int // wei that one transaction may cost beside its gas (L1 data of a rollup): no field of a transaction bounds it; nil is 0
}

// A Token is an ERC-20 contract.
type Token struct {
	ChainID uint64
	Address Address
	Name    string   // as Chain.Coin
	Cap     *big.Int // the largest allowance that is no unlimited one, in the smallest unit, below 2²⁵⁵; nil is 0
}

// A Standard is what a collection speaks.
type Standard uint8

// The standards of collections.
const (
	ERC721 Standard = iota + 1
	ERC1155
)

// A Collection is a contract of items.
type Collection struct {
	ChainID  uint64
	Address  Address
	Name     string // as Chain.Coin
	Standard Standard
}

// A Contract is one that may be called, and with which functions.
type Contract struct {
	ChainID   uint64
	Address   Address
	Name      string // as Chain.Coin
	Functions []Function
}

// A Function is one that people registered.
type Function struct {
	Signature string // abi.ParseFunction's form; `payable` lets coins go along
	Delegate  bool   // a Safe may run it as itself (operation 1), and it can be called in no other way
}

// A Document is typed data (EIP-712) that may be signed: for one contract, of one type.
type Document struct {
	ChainID  uint64
	Contract Address   // verifyingContract
	Name     string    // of the domain; empty: the domain has none
	Version  string    // likewise
	Salt     *[32]byte // nil: the domain has none
	Type     string    // encodeType of the message, exactly
}

// A Code is a contract that an account may become (EIP-7702). The zero address takes the account's code away.
type Code struct {
	ChainID uint64
	Address Address
	Name    string // as Chain.Coin
}

// Allowed is a Book that was checked and is ready to look up. It is immutable. A nil *Allowed names nothing: only what Decode takes is understood.
type Allowed struct {
	chains      map[uint64]Chain
	tokens      map[place]Token
	collections map[place]Collection
	contracts   map[place]contract
	documents   map[documentKey]Document
	codes       map[place]Code
	delays      map[place]delayPart
}

// A place is an address on a chain.
type place struct {
	chain uint64
	at    Address
}

type contract struct {
	name      string
	functions map[[4]byte]function
}

type function struct {
	*abi.Function
	delegate bool
}

type documentKey struct {
	place
	of string
}

const maxEntries = 1024

// Compile checks a Book. An error names the entry.
func Compile(b Book) (*Allowed, error) {
	a := &Allowed{
		map[uint64]Chain{}, map[place]Token{}, map[place]Collection{}, map[place]contract{}, map[documentKey]Document{}, map[place]Code{}, map[place]delayPart{},
	}
	for _, n := range []int{len(b.Chains), len(b.Tokens), len(b.Collections), len(b.Contracts), len(b.Documents), len(b.Codes), len(b.Delays)} {
		if n > maxEntries {
			return nil, fmt.Errorf("book of EVM chains: %d entries of one kind, more than %d", n, maxEntries)
		}
	}
	for i, c := range b.Chains {
		if err := a.addChain(c); err != nil {
			return nil, fmt.Errorf("book of EVM chains: chain %d (%d): %w", i+1, c.ID, err)
		}
	}
	for i, t := range b.Tokens {
		if err := a.addToken(t); err != nil {
			return nil, fmt.Errorf("book of EVM chains: token %d (%s): %w", i+1, t.Address, err)
		}
	}
	for i, c := range b.Collections {
		if err := a.addCollection(c); err != nil {
			return nil, fmt.Errorf("book of EVM chains: collection %d (%s): %w", i+1, c.Address, err)
		}
	}
	for i, c := range b.Contracts {
		if err := a.addContract(c); err != nil {
			return nil, fmt.Errorf("book of EVM chains: contract %d (%s): %w", i+1, c.Address, err)
		}
	}
	for i, d := range b.Documents {
		if err := a.addDocument(d); err != nil {
			return nil, fmt.Errorf("book of EVM chains: document %d (%s): %w", i+1, d.Contract, err)
		}
	}
	for i, c := range b.Codes {
		if err := a.addCode(c); err != nil {
			return nil, fmt.Errorf("book of EVM chains: code %d (%s): %w", i+1, c.Address, err)
		}
	}
	for i, d := range b.Delays {
		if err := a.addDelay(d); err != nil {
			return nil, fmt.Errorf("book of EVM chains: delay %d (%s): %w", i+1, d.Safe, err)
		}
	}
	return a, nil
}

func (a *Allowed) addChain(c Chain) error {
	_, twice := a.chains[c.ID]
	switch {
	case c.ID == 0 || c.ID > MaxChainID:
		return fmt.Errorf("its id is not in 1 … %d", uint64(MaxChainID))
	case twice:
		return errors.New("it stands there twice")
	case c.SLIP44 == 0 || c.SLIP44 >= 1<<31: // 0 is Bitcoin's
		return fmt.Errorf("coin type %d is not in 1 … 2³¹−1 (SLIP 44)", c.SLIP44)
	case c.SetCode && !c.Dynamic:
		return errors.New("EIP-7702 without EIP-1559")
	case c.DataFee != nil && (c.DataFee.Sign() < 0 || c.DataFee.BitLen() > 128):
		return fmt.Errorf("data fee %v is not in 0 … 2¹²⁸−1", c.DataFee)
	}
	c.DataFee = orZero(c.DataFee)
	a.chains[c.ID] = c
	if c.Coin == "" {
		return nil
	}
	return checkName(c.Coin)
}

// free says whether an address may take a part on a chain.
func (a *Allowed) free(p place, name string) error {
	_, chain := a.chains[p.chain]
	_, token := a.tokens[p]
	_, collection := a.collections[p]
	_, contract := a.contracts[p]
	_, delayed := a.delays[p]
	switch {
	case !chain:
		return fmt.Errorf("the book has no chain %d", p.chain)
	case token || collection || contract || delayed: // one selector would mean two things
		return errors.New("the address has another part already")
	case p.at == (Address{}):
		return errors.New("the zero address is no contract")
	case name == "":
		return nil
	}
	return checkName(name)
}

// checkName holds names to what nobody can confuse with another line.
func checkName(name string) error {
	if name == "" || len(name) > 64 {
		return fmt.Errorf("name %.70q does not have 1 to 64 characters", name)
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' {
			return fmt.Errorf("name %q: want printable ASCII without spaces", name)
		}
	}
	return nil
}

func (a *Allowed) addToken(t Token) error {
	p := place{t.ChainID, t.Address}
	if err := a.free(p, t.Name); err != nil {
		return err
	}
	if t.Cap = orZero(t.Cap); t.Cap.Sign() < 0 || t.Cap.BitLen() > 255 {
		return fmt.Errorf("cap %v is not in 0 … 2²⁵⁵−1", t.Cap)
	}
	a.tokens[p] = t
	return nil
}

func (a *Allowed) addCollection(c Collection) error {
	p := place{c.ChainID, c.Address}
	if err := a.free(p, c.Name); err != nil {
		return err
	}
	if c.Name == "" {
		return checkName(c.Name)
	}
	if c.Standard != ERC721 && c.Standard != ERC1155 {
		return fmt.Errorf("standard %d is neither ERC-721 nor ERC-1155", c.Standard)
	}
	a.collections[p] = c
	return nil
}

func (a *Allowed) addContract(c Contract) error {
	p := place{c.ChainID, c.Address}
	if err := a.free(p, c.Name); err != nil {
		return err
	}
	if c.Name == "" {
		return checkName(c.Name)
	}
	if len(c.Functions) == 0 || len(c.Functions) > 64 {
		return fmt.Errorf("%d functions, not 1 to 64", len(c.Functions))
	}
	out := contract{c.Name, map[[4]byte]function{}}
	for _, f := range c.Functions {
		parsed, err := abi.ParseFunction(f.Signature)
		if err != nil {
			return err
		}
		selector := parsed.Selector()
		if _, twice := out.functions[selector]; twice {
			return fmt.Errorf("%s: another function has its selector", parsed.Signature())
		}
		// its effect would be a call where it is a transfer or an allowance, or a call within which is another that nobody sees
		if name := understood(selector); name != "" {
			return fmt.Errorf("%s cannot be registered: its selector is that of %s", parsed.Signature(), name)
		}
		if f.Delegate && parsed.Payable {
			return fmt.Errorf("%s: what a Safe runs as itself gets no coins", parsed.Signature())
		}
		out.functions[selector] = function{parsed, f.Delegate}
	}
	a.contracts[p] = out
	return nil
}

func (a *Allowed) addCode(c Code) error {
	p := place{c.ChainID, c.Address}
	chain, ok := a.chains[c.ChainID]
	_, twice := a.codes[p]
	switch {
	case !ok || !chain.SetCode:
		return fmt.Errorf("chain %d has no EIP-7702 in the book", c.ChainID)
	case twice:
		return errors.New("it stands there twice")
	}
	a.codes[p] = c
	return checkName(c.Name)
}

func (a *Allowed) addDocument(d Document) error {
	key := documentKey{place{d.ChainID, d.Contract}, d.Type}
	_, chain := a.chains[d.ChainID]
	_, twice := a.documents[key]
	_, token := a.tokens[key.place]
	switch {
	case !chain:
		return fmt.Errorf("the book has no chain %d", d.ChainID)
	case twice:
		return errors.New("it stands there twice")
	case d.Contract == (Address{}):
		return errors.New("the zero address is no contract")
	case len(d.Type) == 0 || len(d.Type) > 2048 || len(d.Name) > 128 || len(d.Version) > 128:
		return errors.New("its type has 1 to 2,048 bytes, name and version of its domain at most 128")
	case documents[d.Type].token && !token: // the allowance's cap is the token's
		return errors.New("it moves or lends a token that the book does not name")
	}
	if _, err := abi.CheckTypeString(d.Type); err != nil {
		return err
	}
	a.documents[key] = d
	return nil
}

// chain is the book's settings of a chain. Without a book every chain is like Ethereum before EIP-7702.
func (a *Allowed) chain(id uint64) (Chain, error) {
	if a == nil {
		return Chain{ID: id, SLIP44: 60, Dynamic: true, DataFee: new(big.Int)}, nil
	}
	c, ok := a.chains[id]
	if !ok {
		return Chain{}, refuse("chain id", "%d is not in the book", id)
	}
	return c, nil
}
