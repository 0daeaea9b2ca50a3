package evm

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/evm/abi"
)

// Operations on tokens and collections.
const (
	ERC20Approve      Operation = "erc20-approve"
	ERC20Increase     Operation = "erc20-increase-allowance"
	ERC20Decrease     Operation = "erc20-decrease-allowance"
	ERC20TransferFrom Operation = "erc20-transfer-from"

	ERC721Approve      Operation = "erc721-approve"
	ERC721TransferFrom Operation = "erc721-transfer-from"
	ERC721Safe         Operation = "erc721-safe-transfer-from"
	ERC721SafeData     Operation = "erc721-safe-transfer-from-with-data" // the function of four arguments, with empty data
	ERC1155Safe        Operation = "erc1155-safe-transfer-from"
	ERC1155Batch       Operation = "erc1155-safe-batch-transfer-from"
	ApprovalForAll     Operation = "set-approval-for-all"
)

// maxBatch bounds the items of one batch.
const maxBatch = 16

// A tokenCall is a function of ERC-20, ERC-721 or ERC-1155 that the room reads by itself.
type tokenCall struct {
	*abi.Function
	declaration string
	operation   Operation
	read        func(asset, []abi.Value) (meaning, error)
}

// The functions, by selector.
var (
	tokenCalls = functionTable(
		row{"function approve(address spender,uint256 amount)", ERC20Approve, readAllowance},
		row{"function increaseAllowance(address spender,uint256 amount)", ERC20Increase, readAllowance},
		row{"function decreaseAllowance(address spender,uint256 amount)", ERC20Decrease, readAllowance},
		row{"function transferFrom(address from,address to,uint256 amount)", ERC20TransferFrom, readMove},
	)
	erc721Calls = functionTable(
		row{"function approve(address spender,uint256 item)", ERC721Approve, readItemAllowance},
		row{"function setApprovalForAll(address operator,bool approved)", ApprovalForAll, readForAll},
		row{"function transferFrom(address from,address to,uint256 item)", ERC721TransferFrom, readMove},
		row{"function safeTransferFrom(address from,address to,uint256 item)", ERC721Safe, readMove},
		row{"function safeTransferFrom(address from,address to,uint256 item,bytes data)", ERC721SafeData, readMove},
	)
	erc1155Calls = functionTable(
		row{"function setApprovalForAll(address operator,bool approved)", ApprovalForAll, readForAll},
		row{"function safeTransferFrom(address from,address to,uint256 item,uint256 amount,bytes data)", ERC1155Safe, readMove},
		row{"function safeBatchTransferFrom(address from,address to,uint256[] items,uint256[] amounts,bytes data)", ERC1155Batch, readBatch},
	)
)

type row struct {
	signature string
	operation Operation
	read      func(asset, []abi.Value) (meaning, error)
}

func functionTable(rows ...row) map[[4]byte]tokenCall {
	out := map[[4]byte]tokenCall{}
	for _, r := range rows {
		f, err := abi.ParseFunction(r.signature)
		if err != nil {
			panic("evm: " + err.Error())
		}
		out[f.Selector()] = tokenCall{f, r.signature, r.operation, r.read}
	}
	return out
}

// AssetFunctions are the functions of tokens, or of a collection's standard, that the room reads: as Solidity declares them, ascending.
func AssetFunctions(of Standard) (all []string) {
	table := map[Standard]map[[4]byte]tokenCall{0: tokenCalls, ERC721: erc721Calls, ERC1155: erc1155Calls}[of]
	for _, c := range table {
		all = append(all, c.declaration)
	}
	if of == 0 {
		all = append(all, "function transfer(address to,uint256 amount)")
	}
	slices.Sort(all)
	return all
}

func keccak(text string) []byte { return crypto.Keccak256([]byte(text)) }

// An asset is a call of a token or collection of the book.
type asset struct {
	scene
	operation Operation
	name      string // CAIP-19
	known     string // by the book
	limit     *big.Int
	items     bool // it is a collection
}

func (s scene) readToken(t Token) (meaning, error) {
	if [4]byte(s.data) == transferSelector {
		c, err := decodeTransfer(s.to, s.value, s.data)
		if err != nil {
			return meaning{}, err
		}
		a := s.asset("erc20", t.Name, ERC20Transfer)
		return a.moved(c.to, move{amount: c.amount}), nil
	}
	a := s.asset("erc20", t.Name, "")
	a.limit = t.Cap
	return a.read(tokenCalls)
}

func (s scene) readCollection(c Collection) (meaning, error) {
	standard, table := "erc721", erc721Calls
	if c.Standard == ERC1155 {
		standard, table = "erc1155", erc1155Calls
	}
	a := s.asset(standard, c.Name, "")
	a.items = true
	return a.read(table)
}

func (s scene) asset(standard, known string, op Operation) asset {
	return asset{scene: s, operation: op, known: known, name: fmt.Sprintf("eip155:%d/%s:%s", s.chain.ID, standard, s.to.lower())}
}

func (a asset) read(table map[[4]byte]tokenCall) (meaning, error) {
	selector := [4]byte(a.data)
	c, ok := table[selector]
	if !ok {
		if name := understood(selector); name != "" {
			return meaning{}, refuse("data", "calls %s, which is not supported for %s", name, a.name)
		}
		return meaning{}, refuse("data", "calls unknown selector 0x%x of %s", selector, a.name)
	}
	if a.value.Sign() != 0 {
		return meaning{}, refuse("value", "%v wei go along with %s and would be lost", a.value, c.Signature())
	}
	arguments, err := c.Decode(a.data[4:])
	if err != nil {
		return meaning{}, refuse("data", "arguments of %s: %v", c.Signature(), err)
	}
	a.operation = c.operation
	return c.read(a, arguments)
}

// lends says whether an allowance has a bound that means one: below half of what its type of that many bits holds, and within the cap.
func lends(amount, limit *big.Int, bits int) effect.Operation {
	if amount.BitLen() >= bits || amount.Cmp(limit) > 0 {
		return effect.Unlimited
	}
	return effect.Allowance
}

var allowanceWords = map[effect.Operation]string{effect.Unlimited: "unlimited", effect.Allowance: "limited"}

// taker judges who may take.
func (a asset) taker(field string, who Address) error {
	switch who {
	case a.to:
		return refuse("data", "%s is the asset's own contract", field)
	case a.caller:
		return refuse("data", "%s is the account itself", field)
	}
	return nil
}

func readAllowance(a asset, args []abi.Value) (meaning, error) {
	spender, amount := Address(args[0].Address()), args[1].Int
	if spender == (Address{}) {
		return meaning{}, refuse("data", "spender is the zero address")
	}
	if err := a.taker("spender", spender); err != nil {
		return meaning{}, err
	}
	op, lent := lends(amount, a.limit, 256), amount
	if a.operation == ERC20Decrease { // it lends nothing, however much it takes away
		op, lent = effect.Allowance, new(big.Int)
	}
	m := a.lines(amount, spender)
	m.lines = append(m.lines, effect.Line{Name: "allowance", Value: allowanceWords[op]})
	m.effects = []effect.Effect{a.effect(op, &a.to, lent, spender)}
	return m, nil
}

// readItemAllowance reads approve of ERC-721: one may take one item; the zero address takes that back.
func readItemAllowance(a asset, args []abi.Value) (meaning, error) {
	spender, item := Address(args[0].Address()), args[1].Int
	if err := a.taker("spender", spender); err != nil {
		return meaning{}, err
	}
	amount := big.NewInt(1)
	if spender == (Address{}) {
		amount.SetInt64(0)
	}
	m := a.lines(amount, spender)
	m.lines = append(m.lines, effect.Line{Name: "item", Value: item.String()})
	e := a.effect(effect.Allowance, &a.to, amount, spender)
	e.Item = item.String()
	m.effects = []effect.Effect{e}
	return m, nil
}

func readForAll(a asset, args []abi.Value) (meaning, error) {
	operator, approved := Address(args[0].Address()), args[1].Int.Sign() != 0
	if operator == (Address{}) {
		return meaning{}, refuse("data", "operator is the zero address")
	}
	if err := a.taker("operator", operator); err != nil {
		return meaning{}, err
	}
	m, word := a.lines(new(big.Int), operator), "none"
	e := a.effect(effect.Allowance, &a.to, new(big.Int), operator)
	if approved {
		word, e.Operation, e.Amount = "unlimited", effect.Unlimited, nil
	}
	m.lines = append(m.lines, effect.Line{Name: "allowance", Value: word})
	m.effects = []effect.Effect{e}
	return m, nil
}

// A move is one part of a transfer: an amount, of an item in a collection.
type move struct{ item, amount *big.Int }

// lines are the first of an asset's call.
func (a asset) lines(amount *big.Int, to Address) meaning {
	m := meaning{operation: a.operation, lines: a.head(a.operation, a.name, amount, to)}
	if a.known != "" {
		m.lines = append(m.lines, effect.Line{Name: "known-as", Value: a.known})
	}
	return m
}

// moved is what a transfer does. What comes back to the caller has no effect.
func (a asset) moved(to Address, moves ...move) meaning {
	total := new(big.Int)
	for _, x := range moves {
		total.Add(total, x.amount)
	}
	m := a.lines(total, to)
	for i, x := range moves {
		e := a.effect(effect.Token, &a.to, x.amount, to)
		if x.item != nil {
			e.Item = x.item.String()
			m.lines = append(m.lines, effect.Line{Name: fmt.Sprintf("item.%d", i+1), Value: fmt.Sprintf("%v of item %v", x.amount, x.item)})
		}
		if to != a.caller {
			m.effects = append(m.effects, e)
		}
	}
	return m
}

// parties judges from and to of a transfer.
func (a asset) parties(args []abi.Value) (Address, error) {
	from, to := Address(args[0].Address()), Address(args[1].Address())
	switch {
	case from != a.caller: // another's assets, by an allowance that the vault was given or not
		return Address{}, refuse("data", "takes from %s, which is not the account", from)
	case to == (Address{}):
		return Address{}, refuse("data", "destination is the zero address: it would be burnt")
	case to == a.to:
		return Address{}, refuse("data", "destination is the asset's own contract: it would be lost")
	}
	for _, x := range args[2:] {
		if x.Type.String() == "bytes" && len(x.Bytes) > 0 { // the receiver's code would act on it
			return Address{}, refuse("data", "carries %d bytes for the receiver", len(x.Bytes))
		}
	}
	return to, nil
}

func readMove(a asset, args []abi.Value) (meaning, error) {
	to, err := a.parties(args)
	if err != nil {
		return meaning{}, err
	}
	x := move{amount: args[2].Int}
	switch {
	case a.operation == ERC1155Safe:
		x = move{args[2].Int, args[3].Int}
	case a.items:
		x = move{args[2].Int, big.NewInt(1)}
	}
	return a.moved(to, x), nil
}

func readBatch(a asset, args []abi.Value) (meaning, error) {
	to, err := a.parties(args)
	if err != nil {
		return meaning{}, err
	}
	items, amounts := args[2].List, args[3].List
	if len(items) != len(amounts) || len(items) == 0 || len(items) > maxBatch {
		return meaning{}, refuse("data", "moves %d items in %d amounts; want as many of both, 1 to %d", len(items), len(amounts), maxBatch)
	}
	moves := make([]move, len(items))
	for i := range items {
		moves[i] = move{items[i].Int, amounts[i].Int}
	}
	return a.moved(to, moves...), nil
}
