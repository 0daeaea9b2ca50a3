package test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/internal/components"
	"github.com/ostraka/ostraka/internal/components/anvil"
)

// What TestContractStories' charter names beside assets, and its rules about that.
const (
	contractParts = `
contracts:
  - name: messages
    chain: "%[4]s"
    address: "%[1]s"
    delegates: ["function signMessage(bytes data)"]
networks:
  - chain: "%[4]s"
    set-code: true
codes:
  - name: notes
    chain: "%[4]s"
    address: "%[1]s"
  - name: nothing
    chain: "%[4]s"
    address: "0x0000000000000000000000000000000000000000"
typed-data:
  - name: share-permit
    chain: "%[4]s"
    contract: "%[2]s"
    domain: "Uniswap V2"
    version: "1"
    type: "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
  - name: treasury-safe
    chain: "%[4]s"
    contract: "%[3]s"
    type: "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)"
`
	contractRules = `
@id("named")
permit (principal in Group::"finance", action in [Action::"allowance", Action::"delegate-call", Action::"message", Action::"authorise"], resource);
`
)

// contracts are what the stories of testdata/contracts work with.
type contracts struct {
	t     *testing.T
	local *local.Circle
	chain *anvil.Node
	id    int             // of the chain
	token *anvil.Contract // takes permits
	safe  *anvil.Contract // of one owner, who is the chain's first account until the vault's takes its place
	notes *anvil.Contract // lets a Safe say something: it runs its code as itself
}

// The contracts that people use judge what three operators' nodes sign: a token its permits, a Safe its transactions.
func TestContractStories(t *testing.T) {
	(&contracts{t: t, chain: anvil.Start(t), id: 31337}).run(stories(t, "contracts"))
}

// run tells stories on a chain.
func (w *contracts) run(scripts []string) {
	w.deploy()
	chain := fmt.Sprintf("eip155:%d", w.id)
	named := fmt.Sprintf(contractParts, w.notes.Address, w.token.Address, w.safe.Address, chain)
	w.local = settled(w.t, local.Config{
		Suite: charter.SuiteECDSA, Chain: chain, RPC: map[string]string{chain: w.chain.URL},
		Assets: []charter.Asset{{Name: "share", Chain: chain, Contract: w.token.Address.Hex(), Decimals: 18, Unit: 3, Allowance: "5000000"}},
		Amend:  func(text string) string { return text + named }, Rules: contractRules,
	})
	tell(w.t, w.local, scripts, w.commands(), map[string]string{
		"TOKEN": w.token.Address.Hex(), "SAFE": w.safe.Address.Hex(), "NOTES": w.notes.Address.Hex(), "STRANGER": common.HexToAddress(w.stranger()).Hex(), "CHAINID": fmt.Sprint(w.id),
	})
}

// deploy puts the contracts on the chain, before there is a vault: its charter names their addresses.
func (w *contracts) deploy() {
	first := w.chain.Accounts(w.t)[0]
	w.token = w.chain.Deploy(w.t, components.PermitToken, "ERC20", big.NewInt(1e18))
	w.notes = w.chain.Deploy(w.t, components.Safe, "SignMessageLib")
	singleton, factory := w.chain.Deploy(w.t, components.Safe, "Safe"), w.chain.Deploy(w.t, components.Safe, "SafeProxyFactory")
	var none common.Address
	setup := singleton.Pack(w.t, "setup", []common.Address{common.HexToAddress(first)}, big.NewInt(1), none, []byte{}, none, none, new(big.Int), none)
	made := factory.Read(w.t, "createProxyWithNonce", singleton.Address, setup, new(big.Int))[0].(common.Address)
	factory.Send(w.t, first, "createProxyWithNonce", singleton.Address, setup, new(big.Int))
	w.safe = singleton.At(made)
}

func (w *contracts) stranger() string { return w.chain.Accounts(w.t)[1] }

func (w *contracts) commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"fund": func(_ *testscript.TestScript, _ bool, args []string) {
			w.chain.SetBalance(w.t, args[0], "0xde0b6b3a7640000")
		},
		"give": func(ts *testscript.TestScript, _ bool, args []string) {
			w.token.Send(w.t, w.chain.Accounts(w.t)[0], "transfer", common.HexToAddress(args[0]), number(ts, args[1]))
		},
		"holds":     w.holds,
		"ether":     w.ether,
		"allowance": w.allowance,
		"permit":    w.permit,
		"take":      w.take,
		"hand-over": w.handOver,
		"safetx":    w.safeTx,
		"bring":     w.bring,
		"said":      w.said,
		"code":      w.code,
		"forge":     w.forge,
		"chain":     (&circle{t: w.t, chain: w.chain}).call,
	}
}

func number(ts *testscript.TestScript, text string) *big.Int {
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		ts.Fatalf("%q is no number", text)
	}
	return n
}

// code ADDRESS OF wants an account to run a contract's code (EIP-7702), or none.
func (w *contracts) code(ts *testscript.TestScript, _ bool, args []string) {
	want := "0x"
	if len(args) > 1 {
		want = "0xef0100" + strings.ToLower(strings.TrimPrefix(args[1], "0x"))
	}
	var got string
	if w.chain.Call(w.t, &got, "eth_getCode", args[0], "latest"); got != want {
		ts.Fatalf("%s has code %.60s, not %s", args[0], got, want)
	}
}

// reverts ends a `! command … WHY`: the contract refuses the call, and says that.
func (w *contracts) reverts(ts *testscript.TestScript, c *anvil.Contract, why, method string, arguments ...any) {
	if got := c.Revert(w.t, w.stranger(), method, arguments...); got == "" || !strings.Contains(got, why) {
		ts.Fatalf("%s reverts with %q, not with %q", method, got, why)
	}
}

// holds ADDRESS AMOUNT: so much of the token.
func (w *contracts) holds(ts *testscript.TestScript, _ bool, args []string) {
	if got := w.token.Read(w.t, "balanceOf", common.HexToAddress(args[0]))[0].(*big.Int); got.Cmp(number(ts, args[1])) != 0 {
		ts.Fatalf("%s holds %v, not %s", args[0], got, args[1])
	}
}

// ether ADDRESS WEI: so much of the chain's own coin.
func (w *contracts) ether(ts *testscript.TestScript, _ bool, args []string) {
	var got string
	if w.chain.Call(w.t, &got, "eth_getBalance", args[0], "latest"); got != fmt.Sprintf("%#x", number(ts, args[1])) {
		ts.Fatalf("%s holds %s wei, not %s", args[0], got, args[1])
	}
}

// allowance OWNER AMOUNT: what the stranger may take.
func (w *contracts) allowance(ts *testscript.TestScript, _ bool, args []string) {
	got := w.token.Read(w.t, "allowance", common.HexToAddress(args[0]), common.HexToAddress(w.stranger()))[0].(*big.Int)
	if got.Cmp(number(ts, args[1])) != 0 {
		ts.Fatalf("the allowance is %v, not %s", got, args[1])
	}
}

// permit FILE: the stranger hands a permit to the token, with the signature $RAW.
func (w *contracts) permit(ts *testscript.TestScript, neg bool, args []string) {
	var doc struct {
		Message struct{ Owner, Spender, Value, Deadline string }
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &doc))
	m, sig := doc.Message, common.FromHex(ts.Getenv("RAW"))
	arguments := []any{
		common.HexToAddress(m.Owner), common.HexToAddress(m.Spender), number(ts, m.Value), number(ts, m.Deadline), sig[64], [32]byte(sig[:32]), [32]byte(sig[32:64]),
	}
	if neg {
		w.reverts(ts, w.token, args[1], "permit", arguments...)
		return
	}
	w.token.Send(w.t, w.stranger(), "permit", arguments...)
}

// take OWNER AMOUNT: the stranger takes tokens of an owner who permits it.
func (w *contracts) take(ts *testscript.TestScript, neg bool, args []string) {
	owner, stranger := common.HexToAddress(args[0]), common.HexToAddress(w.stranger())
	if neg {
		w.reverts(ts, w.token, args[2], "transferFrom", owner, stranger, number(ts, args[1]))
		return
	}
	w.token.Send(w.t, w.stranger(), "transferFrom", owner, stranger, number(ts, args[1]))
}

// handOver ADDRESS makes an address the Safe's one owner: its owner until now says so in a transaction of its own, which counts as a signature.
func (w *contracts) handOver(ts *testscript.TestScript, _ bool, args []string) {
	old, one := common.HexToAddress(w.chain.Accounts(w.t)[0]), common.HexToAddress("0x1") // the list of owners begins with 1
	swap := w.safe.Pack(w.t, "swapOwner", one, old, common.HexToAddress(args[0]))
	var none common.Address
	zero := new(big.Int)
	sig := append(common.LeftPadBytes(old[:], 32), append(make([]byte, 32), 1)...)
	w.safe.Send(w.t, old.Hex(), "execTransaction", w.safe.Address, zero, swap, uint8(0), zero, zero, zero, none, none, sig)
	if owners := w.safe.Read(w.t, "getOwners")[0].([]common.Address); len(owners) != 1 || owners[0] != common.HexToAddress(args[0]) {
		ts.Fatalf("owners are %v", owners)
	}
}

// safeMessage is the message of a Safe's typed data, as wallets have it.
type safeMessage struct {
	To             string `json:"to"`
	Value          string `json:"value"`
	Data           string `json:"data"`
	Operation      int    `json:"operation"`
	SafeTxGas      string `json:"safeTxGas"`
	BaseGas        string `json:"baseGas"`
	GasPrice       string `json:"gasPrice"`
	GasToken       string `json:"gasToken"`
	RefundReceiver string `json:"refundReceiver"`
	Nonce          string `json:"nonce"`
}

const safeDocument = `{"types":{"EIP712Domain":[{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],
"SafeTx":[{"name":"to","type":"address"},{"name":"value","type":"uint256"},{"name":"data","type":"bytes"},{"name":"operation","type":"uint8"},
{"name":"safeTxGas","type":"uint256"},{"name":"baseGas","type":"uint256"},{"name":"gasPrice","type":"uint256"},{"name":"gasToken","type":"address"},
{"name":"refundReceiver","type":"address"},{"name":"nonce","type":"uint256"}]},
"primaryType":"SafeTx","domain":{"chainId":%d,"verifyingContract":"%s"},"message":%s}`

// safeTx FILE FIELD=VALUE… writes typed data of the Safe, of its next nonce unless one is given. What is not said is zero. The data may be a call of one of
// these contracts: data=token.transfer:ADDRESS:AMOUNT, data=safe.enableModule:ADDRESS, data=notes.signMessage:TEXT:TIMES, data=notes.getMessageHash:TEXT.
func (w *contracts) safeTx(ts *testscript.TestScript, _ bool, args []string) {
	zero := common.Address{}.Hex()
	m := safeMessage{Value: "0", Data: "0x", SafeTxGas: "0", BaseGas: "0", GasPrice: "0", GasToken: zero, RefundReceiver: zero}
	m.Nonce = w.safe.Read(w.t, "nonce")[0].(*big.Int).String()
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		texts := map[string]*string{
			"to": &m.To, "value": &m.Value, "gasPrice": &m.GasPrice, "gasToken": &m.GasToken, "refundReceiver": &m.RefundReceiver, "nonce": &m.Nonce, "safeTxGas": &m.SafeTxGas,
		}
		switch {
		case name == "operation":
			m.Operation = int(number(ts, value).Int64())
		case name == "data":
			m.Data = fmt.Sprintf("0x%x", w.data(ts, strings.Split(value, ":")))
		case texts[name] != nil:
			*texts[name] = value
		default:
			ts.Fatalf("no field %s", name)
		}
	}
	message, err := json.Marshal(m)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), fmt.Appendf(nil, safeDocument, w.id, w.safe.Address, message), 0o600))
}

func (w *contracts) data(ts *testscript.TestScript, call []string) []byte {
	at := func(i int) common.Address { return common.HexToAddress(call[i]) }
	switch call[0] {
	case "token.transfer":
		return w.token.Pack(w.t, "transfer", at(1), number(ts, call[2]))
	case "safe.enableModule":
		return w.safe.Pack(w.t, "enableModule", at(1))
	case "notes.signMessage", "notes.getMessageHash":
		return w.notes.Pack(w.t, strings.TrimPrefix(call[0], "notes."), repeated(ts, call[1:]))
	}
	ts.Fatalf("no call %s", call[0])
	return nil
}

// bring FILE: the stranger brings what the Safe is to do to the chain, with the signature $RAW. What was signed, $HASH, is what the Safe itself says of it.
func (w *contracts) bring(ts *testscript.TestScript, neg bool, args []string) {
	var doc struct{ Message safeMessage }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &doc))
	m := doc.Message
	arguments := []any{
		common.HexToAddress(m.To), number(ts, m.Value), common.FromHex(m.Data), uint8(m.Operation), number(ts, m.SafeTxGas), number(ts, m.BaseGas), number(ts, m.GasPrice),
		common.HexToAddress(m.GasToken), common.HexToAddress(m.RefundReceiver), common.FromHex(ts.Getenv("RAW")),
	}
	if neg {
		w.reverts(ts, w.safe, args[1], "execTransaction", arguments...)
		return
	}
	hash := w.safe.Read(w.t, "getTransactionHash", append(arguments[:9:9], number(ts, m.Nonce))...)[0].([32]byte)
	if got := common.Hash(hash).Hex(); got != ts.Getenv("HASH") {
		ts.Fatalf("the Safe calls the transaction %s, and %s was signed", got, ts.Getenv("HASH"))
	}
	w.safe.Send(w.t, w.stranger(), "execTransaction", arguments...)
}

// repeated is a text, so many times if a number is there.
func repeated(ts *testscript.TestScript, text []string) []byte {
	if len(text) == 1 {
		return []byte(text[0])
	}
	return []byte(strings.Repeat(text[0], int(number(ts, text[1]).Int64())))
}

// said TEXT:TIMES: the Safe has signed that, as the contract of its own code remembers it.
func (w *contracts) said(ts *testscript.TestScript, neg bool, args []string) {
	domain := w.safe.Read(w.t, "domainSeparator")[0].([32]byte)
	kind, text := crypto.Keccak256([]byte("SafeMessage(bytes message)")), crypto.Keccak256(repeated(ts, strings.Split(args[0], ":")))
	hash := crypto.Keccak256Hash([]byte{0x19, 1}, domain[:], crypto.Keccak256(kind, text))
	if n := w.safe.Read(w.t, "signedMessages", hash)[0].(*big.Int); (n.Sign() == 0) != neg {
		ts.Fatalf("the Safe remembers %v of %q", n, args[0])
	}
}

// forge FILE proposes typed data, as alice, that the program itself would not propose, and sets $ID. Its words are those of a transfer.
func (w *contracts) forge(ts *testscript.TestScript, _ bool, args []string) {
	document, err := evm.CanonicalDocument([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	c, v, ctx := (&circle{local: w.local}).as(ts, "alice")
	r, err := v.Root("")
	ts.Check(err)
	from, _, err := v.Address(r, v.Chains[0], []uint32{0, 0, 0})
	ts.Check(err)
	now := client.Now()
	s, err := intent.Intent{
		Charter: v.Charter, Vault: v.ID, Key: r.Record.KeyID, Epoch: r.Record.Hash(), Address: from, Chain: v.Chains[0], Purpose: intent.PurposeMessage,
		Transaction: document, Facts: []intent.Fact{{Name: "operation", Value: "safe-transaction"}}, Initiator: "alice", Created: now, Expires: now.Add(time.Hour),
	}.Statement(client.NewSalt())
	ts.Check(err)
	taken, err := c.SubmitStatement(ctx, s)
	ts.Check(err)
	if _, err := taken.Need("propose", 3); err != nil {
		ts.Fatalf("%v", err)
	}
	ts.Setenv("ID", s.ID().String())
}
