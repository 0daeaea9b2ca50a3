package charter

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/ostraka/ostraka/custody/form"
	"github.com/ostraka/ostraka/custody/statement"
)

// An EVM is what the vaults may call, sign and become on EVM chains beside plain transfers. What it does not name no node understands (spec/chain-evm 7).
type EVM struct {
	Networks  []Network  // that differ from the common rules, Bitcoin's among them; ascending by chain
	Contracts []Contract // ascending by name
	TypedData []TypedData
	Codes     []Code
}

// A Network is how one chain differs: of EVM chains that are not listed, transactions have types 0 and 2, and their fee is all that they cost; of those of Bitcoin the highest
// rate of a fee is DefaultFeeRate.
type Network struct {
	Chain       string // CAIP-2
	NoDynamic   bool   // it has no EIP-1559
	SetCode     bool   // accounts may become code there (EIP-7702)
	AccessLists bool   // EIP-2930's lists may stand in transactions
	DataFee     string // of a rollup: the chain's smallest units, decimal, that one transaction may cost beside its gas; empty: nothing
	FeeRate     uint64 // of Bitcoin alone: the most that a transaction may pay, in satoshis per virtual byte, 1 to MaxFeeRate; 0: DefaultFeeRate
}

// Rates of fees on Bitcoin, in satoshis per virtual byte.
const (
	DefaultFeeRate = 1_000
	MaxFeeRate     = statement.MaxFeeRate
)

// FeeRate is the highest rate that a transaction on a chain of Bitcoin may pay, in satoshis per virtual byte.
func (e EVM) FeeRate(chain string) uint64 {
	for _, x := range e.Networks {
		if x.Chain == chain && x.FeeRate > 0 {
			return x.FeeRate
		}
	}
	return DefaultFeeRate
}

// A Contract is one that vaults may call, and with which functions.
type Contract struct {
	Name      string
	Chain     string
	Address   string
	Functions []string // as Solidity declares them, ascending: "function deposit(uint256 assets,address receiver)"; with `payable`, coins may go along
	Delegates []string // those that a Safe of the vault's may run as itself, ascending; nobody calls them
}

// A TypedData is a type of EIP-712 that vaults may sign, for one contract.
type TypedData struct {
	Name     string
	Chain    string
	Contract string // verifyingContract
	Domain   string // its name; empty: it has none
	Version  string // likewise
	Salt     []byte // 32 bytes, or none
	Type     string // encodeType: "Permit(address owner,…)"
}

// A Code is a contract that an account may become (EIP-7702). The zero address takes the account's code away.
type Code struct {
	Name    string
	Chain   string
	Address string
}

// Standards of collections, and of what is none.
const (
	ERC721  = "erc721"
	ERC1155 = "erc1155"
)

// Empty says that nothing is named.
func (e EVM) Empty() bool {
	return len(e.Networks)+len(e.Contracts)+len(e.TypedData)+len(e.Codes) == 0
}

func (d Document) checkEVM() error {
	named := func(name, chain, address string) error {
		if err := labels(name); err != nil {
			return err
		}
		if err := checkEVMChain(chain); err != nil {
			return fmt.Errorf("chain: %w", err)
		}
		return checkAddressText(address)
	}
	if err := d.EVM.checkNetworks(); err != nil {
		return fmt.Errorf("networks: %w", err)
	}
	if err := several("contracts", d.EVM.Contracts, func(x Contract) string { return x.Name }); err != nil {
		return err
	}
	for _, x := range d.EVM.Contracts {
		err := named(x.Name, x.Chain, x.Address)
		if err == nil {
			err = x.checkFunctions()
		}
		if err != nil {
			return fmt.Errorf("contract %s: %w", x.Name, err)
		}
	}
	if err := several("typed-data", d.EVM.TypedData, func(x TypedData) string { return x.Name }); err != nil {
		return err
	}
	for _, x := range d.EVM.TypedData {
		err := named(x.Name, x.Chain, x.Contract)
		if n := len(x.Salt); err == nil && n != 0 && n != 32 {
			err = fmt.Errorf("salt: %d bytes, not 32", n)
		}
		if err != nil {
			return fmt.Errorf("typed data %s: %w", x.Name, err)
		}
	}
	if err := several("codes", d.EVM.Codes, func(x Code) string { return x.Name }); err != nil {
		return err
	}
	for _, x := range d.EVM.Codes {
		if err := named(x.Name, x.Chain, x.Address); err != nil {
			return fmt.Errorf("code %s: %w", x.Name, err)
		}
	}
	return nil
}

// several bounds a list of one kind, in ascending order.
func several[T any](what string, list []T, name func(T) string) error {
	if n := len(list); n > statement.MaxContracts {
		return fmt.Errorf("%s: %d are listed, at most %d are allowed", what, n, statement.MaxContracts)
	}
	if err := ascending(list, name); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (e EVM) checkNetworks() error {
	if err := several("networks", e.Networks, func(x Network) string { return x.Chain }); err != nil {
		return err
	}
	for _, x := range e.Networks {
		if strings.HasPrefix(x.Chain, "bip122:") {
			if err := x.checkBitcoin(); err != nil {
				return err
			}
			continue
		}
		if err := checkEVMChain(x.Chain); err != nil {
			return err
		}
		if err := checkDecimal(x.DataFee, 128); err != nil {
			return fmt.Errorf("%s: data-fee: %w", x.Chain, err)
		}
		switch {
		case x.FeeRate != 0:
			return fmt.Errorf("%s: fee-rate: is of Bitcoin's chains alone; the policy bounds fees here", x.Chain)
		case x.SetCode && x.NoDynamic:
			return fmt.Errorf("%s: set-code: a chain without EIP-1559 has no EIP-7702", x.Chain)
		case x == Network{Chain: x.Chain}:
			return fmt.Errorf("%s: it differs in nothing: leave it out", x.Chain)
		}
	}
	return nil
}

func (x Network) checkBitcoin() error {
	switch err := statement.CheckChain(x.Chain); {
	case err != nil:
		return err
	case x != Network{Chain: x.Chain, FeeRate: x.FeeRate}:
		return fmt.Errorf("%s: a chain of Bitcoin has a fee-rate, and nothing else", x.Chain)
	case x.FeeRate == 0 || x.FeeRate == DefaultFeeRate || x.FeeRate > MaxFeeRate:
		return fmt.Errorf("%s: fee-rate: is %d satoshis per virtual byte; want 1 to %d, and another than %d, which holds where nothing is said", x.Chain, x.FeeRate, MaxFeeRate, DefaultFeeRate)
	}
	return nil
}

func (x Contract) checkFunctions() error {
	if n := len(x.Functions) + len(x.Delegates); n < 1 || n > statement.MaxFunctions {
		return fmt.Errorf("functions: %d are listed, 1 to %d are allowed", n, statement.MaxFunctions)
	}
	if err := ascending(x.Functions, same); err != nil {
		return fmt.Errorf("functions: %w", err)
	}
	if err := ascending(x.Delegates, same); err != nil {
		return fmt.Errorf("delegates: %w", err)
	}
	return nil
}

func checkEVMChain(chain string) error {
	if err := statement.CheckChain(chain); err != nil {
		return err
	}
	if !strings.HasPrefix(chain, "eip155:") {
		return fmt.Errorf("%q is no EVM chain: want eip155:1 or the like", chain)
	}
	return nil
}

func checkAddressText(text string) error {
	if err := statement.CheckText(text, 128); err != nil || text == "" {
		return fmt.Errorf("address: %q is not 1 to 128 bytes of text", text)
	}
	return nil
}

// checkDecimal takes a number of so many bits in its one form, or nothing.
func checkDecimal(text string, bits int) error {
	if n, ok := new(big.Int).SetString(text, 10); text != "" && (!ok || n.Sign() <= 0 || n.BitLen() > bits || n.String() != text) {
		return fmt.Errorf("%.80q is no number from 1 to 2^%d − 1, in decimal", text, bits)
	}
	return nil
}

func (d Document) addEVM(b statement.Block) statement.Block {
	for _, x := range d.EVM.Networks {
		var sub statement.Block
		for _, f := range x.marks() {
			if f.yes {
				sub = sub.Add(f.name, "yes")
			}
		}
		sub = sub.Add("data-fee", x.DataFee)
		if x.FeeRate > 0 {
			sub = sub.AddUint("fee-rate", x.FeeRate)
		}
		b = b.AddBlock("network", x.Chain, sub)
	}
	for _, x := range d.EVM.Contracts {
		sub := statement.Block{}.Add("contract-chain", x.Chain).Add("contract-address", x.Address)
		b = b.AddBlock("evm-contract", x.Name, sub.AddList("function", x.Functions).AddList("delegate", x.Delegates))
	}
	for _, x := range d.EVM.TypedData {
		sub := statement.Block{}.Add("typed-chain", x.Chain).Add("typed-contract", x.Contract).Add("domain-name", x.Domain).Add("domain-version", x.Version)
		if len(x.Salt) > 0 {
			sub = sub.AddHex("domain-salt", x.Salt)
		}
		b = b.AddBlock("typed-data", x.Name, sub.Add("type", x.Type))
	}
	for _, x := range d.EVM.Codes {
		b = b.AddBlock("code", x.Name, statement.Block{}.Add("code-chain", x.Chain).Add("code-address", x.Address))
	}
	return b
}

// A mark is a field that is yes, or not there.
type mark struct {
	name string
	yes  bool
}

func (x Network) marks() []mark {
	return []mark{{"no-eip1559", x.NoDynamic}, {"set-code", x.SetCode}, {"access-lists", x.AccessLists}}
}

func (d *Document) readEVM(f statement.Block) error {
	for _, x := range f.Each("network") {
		is := func(name string) bool { return x.Block.Get(name) == "yes" }
		d.EVM.Networks = append(d.EVM.Networks, Network{x.Value, is("no-eip1559"), is("set-code"), is("access-lists"), x.Block.Get("data-fee"), x.Block.Uint("fee-rate")})
	}
	for _, x := range f.Each("evm-contract") {
		b := x.Block
		d.EVM.Contracts = append(d.EVM.Contracts, Contract{x.Value, b.Get("contract-chain"), b.Get("contract-address"), b.All("function"), b.All("delegate")})
	}
	for _, x := range f.Each("typed-data") {
		b := x.Block
		d.EVM.TypedData = append(d.EVM.TypedData, TypedData{x.Value, b.Get("typed-chain"), b.Get("typed-contract"), b.Get("domain-name"), b.Get("domain-version"), b.Hex("domain-salt"), b.Get("type")})
	}
	for _, x := range f.Each("code") {
		d.EVM.Codes = append(d.EVM.Codes, Code{x.Value, x.Block.Get("code-chain"), x.Block.Get("code-address")})
	}
	return nil
}

func readNetwork(f *form.Map) Network {
	is := func(name string) bool { return f.Has(name) && f.YesNo(name) }
	x := Network{Chain: f.Text("chain"), NoDynamic: is("no-eip1559"), SetCode: is("set-code"), AccessLists: is("access-lists"), DataFee: f.Maybe("data-fee")}
	if f.Has("fee-rate") {
		x.FeeRate = uint64(max(f.Long("fee-rate"), 0))
	}
	return x
}

func readContract(f *form.Map) Contract {
	x := Contract{Name: f.Text("name"), Chain: f.Text("chain"), Address: f.Text("address")}
	if f.Has("functions") {
		x.Functions = sorted(f.Texts("functions"))
	}
	if f.Has("delegates") {
		x.Delegates = sorted(f.Texts("delegates"))
	}
	return x
}

func readTypedData(f *form.Map) TypedData {
	x := TypedData{Name: f.Text("name"), Chain: f.Text("chain"), Contract: f.Text("contract"), Domain: f.Maybe("domain"), Version: f.Maybe("version"), Type: f.Text("type")}
	if text := f.Maybe("salt"); text != "" {
		salt, err := hex.DecodeString(text)
		if err != nil || len(salt) != 32 || hex.EncodeToString(salt) != text {
			f.Fail("salt", fmt.Sprintf("%.80q is not 32 bytes: 64 hexadecimal digits, lower case", text))
		}
		x.Salt = salt
	}
	return x
}

func readCode(f *form.Map) Code { return Code{f.Text("name"), f.Text("chain"), f.Text("address")} }

func (e EVM) sorted() EVM {
	e.Networks = byName(e.Networks, func(x Network) string { return x.Chain })
	e.Contracts = byName(e.Contracts, func(x Contract) string { return x.Name })
	e.TypedData = byName(e.TypedData, func(x TypedData) string { return x.Name })
	e.Codes = byName(e.Codes, func(x Code) string { return x.Name })
	return e
}

func (w *writer) evm(e EVM) {
	if len(e.Networks) > 0 {
		section(w, "Networks: chains that differ from the common rules.", "networks", e.Networks, Network.fields)
	}
	if len(e.Contracts) > 0 {
		section(w, "Contracts that vaults may call, with these functions alone.", "contracts", e.Contracts, Contract.fields)
	}
	if len(e.TypedData) > 0 {
		section(w, "Typed data (EIP-712) that vaults may sign.", "typed-data", e.TypedData, TypedData.fields)
	}
	if len(e.Codes) > 0 {
		section(w, "Codes: contracts that an account may become (EIP-7702).", "codes", e.Codes, Code.fields)
	}
}

func (x Network) fields() []string {
	out := []string{"chain: " + scalar(x.Chain)}
	for _, f := range x.marks() {
		if f.yes {
			out = append(out, f.name+": true")
		}
	}
	if x.DataFee != "" {
		out = append(out, "data-fee: "+strconv.Quote(x.DataFee))
	}
	if x.FeeRate > 0 {
		out = append(out, fmt.Sprintf("fee-rate: %d", x.FeeRate))
	}
	return out
}

func (x Contract) fields() []string {
	out := []string{"name: " + scalar(x.Name), "chain: " + scalar(x.Chain), "address: " + scalar(x.Address)}
	for _, l := range []struct {
		name string
		list []string
	}{{"functions", x.Functions}, {"delegates", x.Delegates}} {
		if len(l.list) > 0 {
			out = append(out, l.name+": "+scalars(l.list))
		}
	}
	return out
}

func (x TypedData) fields() []string {
	out := []string{"name: " + scalar(x.Name), "chain: " + scalar(x.Chain), "contract: " + scalar(x.Contract)}
	out = given(given(given(out, "domain", x.Domain), "version", x.Version), "salt", hex.EncodeToString(x.Salt))
	return append(out, "type: "+scalar(x.Type))
}

func (x Code) fields() []string {
	return []string{"name: " + scalar(x.Name), "chain: " + scalar(x.Chain), "address: " + scalar(x.Address)}
}

// evm: what goes is stricter; everything else is looser, also how a chain is read.
func (c *changes) evm(was, is EVM) {
	each2(was.Networks, is.Networks, func(x Network) string { return x.Chain }, func(name string, was, is *Network) {
		c.same("network "+name, shown(was, Network.text), shown(is, Network.text))
	})
	each2(was.Contracts, is.Contracts, func(x Contract) string { return x.Name }, func(name string, was, is *Contract) {
		what := "contract " + name
		if was == nil || is == nil {
			c.text(what, shown(was, Contract.text), shown(is, Contract.text), is != nil)
			return
		}
		c.same(what+": chain", was.Chain, is.Chain)
		c.same(what+": address", was.Address, is.Address)
		c.set(what+": function", was.Functions, is.Functions)
		c.set(what+": delegate", was.Delegates, is.Delegates)
	})
	each2(was.TypedData, is.TypedData, func(x TypedData) string { return x.Name }, func(name string, was, is *TypedData) {
		c.text("typed data "+name, shown(was, TypedData.text), shown(is, TypedData.text), is != nil)
	})
	each2(was.Codes, is.Codes, func(x Code) string { return x.Name }, func(name string, was, is *Code) {
		c.text("code "+name, shown(was, Code.text), shown(is, Code.text), is != nil)
	})
}

func (x Network) text() string {
	var parts [][2]string
	for _, f := range x.marks() {
		if f.yes {
			parts = append(parts, [2]string{f.name, "yes"})
		}
	}
	if x.FeeRate > 0 {
		parts = append(parts, [2]string{"fees up to", fmt.Sprintf("%d sat/vB", x.FeeRate)})
	}
	return described(append(parts, [2]string{"data fee", x.DataFee})...)
}

func (x Contract) text() string {
	return described([2]string{"at", free(x.Address)}, [2]string{"on", x.Chain}, [2]string{"functions", strings.Join(x.Functions, "; ")}, [2]string{"delegates", strings.Join(x.Delegates, "; ")})
}

func (x TypedData) text() string {
	return described([2]string{"type", whole(x.Type)}, [2]string{"for", free(x.Contract)}, [2]string{"on", x.Chain}, [2]string{"domain", whole(x.Domain)}, [2]string{"version", whole(x.Version)}, [2]string{"salt", hex.EncodeToString(x.Salt)})
}

func (x Code) text() string {
	return described([2]string{"at", free(x.Address)}, [2]string{"on", x.Chain})
}

// checkStandard holds what an asset says of its contract together.
func checkStandard(a Asset) error {
	switch {
	case a.Standard != "" && !slices.Contains([]string{ERC721, ERC1155}, a.Standard):
		return fmt.Errorf("standard: %q is not %s or %s; of other tokens it is left out", a.Standard, ERC721, ERC1155)
	case a.Standard != "" && (a.Contract == "" || a.Decimals != 0):
		return fmt.Errorf("standard: a collection has a contract, and its items no decimals")
	case a.Allowance != "" && (a.Contract == "" || a.Standard != ""):
		return fmt.Errorf("allowance: only a token has one")
	case a.Contract != "" && (a.Allowance != "" || a.Standard != ""):
		if err := checkEVMChain(a.Chain); err != nil {
			return err
		}
	}
	if err := checkDecimal(a.Allowance, 255); err != nil {
		return fmt.Errorf("allowance: %w", err)
	}
	return nil
}
