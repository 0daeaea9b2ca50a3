package test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/signet/signettest"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/internal/components/anvil"
)

// circle is what the stories of testdata/circle work with.
type circle struct {
	t     *testing.T
	local *local.Circle
	chain *anvil.Node
	coin  string // address of an ERC-20 token that the charter lists
}

func (w *circle) commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"halt": func(ts *testscript.TestScript, _ bool, args []string) { w.local.Halt(w.operator(ts, args[0])) },
		"freeze": func(ts *testscript.TestScript, _ bool, args []string) {
			ts.Check(syscall.Kill(w.operator(ts, args[0]).PID(), syscall.SIGSTOP))
		},
		"thaw": func(ts *testscript.TestScript, _ bool, args []string) {
			ts.Check(syscall.Kill(w.operator(ts, args[0]).PID(), syscall.SIGCONT))
		},
		"restart": w.restart,
		"fund": func(_ *testscript.TestScript, _ bool, args []string) {
			w.chain.SetBalance(w.t, args[0], "0xde0b6b3a7640000")
		},
		"token":     w.token,
		"forge":     w.forge,
		"misvote":   w.misvote,
		"untouched": w.untouched,
		"wallet":    walletSigns,
		"chain":     w.call,
		"tamper":    w.tamper,
	}
}

func (w *circle) operator(ts *testscript.TestScript, name string) *local.Operator {
	for _, o := range w.local.Operators {
		if o.Name == name {
			return o
		}
	}
	ts.Fatalf("no operator %s", name)
	return nil
}

func (w *circle) restart(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	ts.Check(w.local.Restart(ctx, w.operator(ts, args[0])))
}

// token ADDRESS gives an address some of the ERC-20 token that the charter lists, and sets $TOKEN.
func (w *circle) token(ts *testscript.TestScript, _ bool, args []string) {
	w.chain.GiveToken(w.t, w.coin, args[0], big.NewInt(1e12))
	ts.Setenv("TOKEN", common.HexToAddress(w.coin).Hex())
}

// forged transactions, each of which some rule must deny.
var forged = map[string]func() ([]byte, error){
	"garbage":     func() ([]byte, error) { return []byte("not a transaction"), nil },
	"other-chain": func() ([]byte, error) { return payload(1, nil) },
	"other-words": func() ([]byte, error) { return payload(31337, nil) },
	// approve(address,uint256) without limit
	"unknown-call": func() ([]byte, error) {
		return payload(31337, append(common.FromHex("095ea7b3"), bytes.Repeat([]byte{0xff}, 64)...))
	},
	"set-code": func() ([]byte, error) { b, err := payload(31337, nil); return append([]byte{4}, b[1:]...), err },
}

// payload is the signing payload of an EIP-1559 transaction, made by go-ethereum's encoder.
func payload(chain uint64, data []byte) ([]byte, error) {
	b, err := rlp.EncodeToBytes([]any{
		chain, uint64(0), big.NewInt(1e9), big.NewInt(30e9), uint64(100000), common.HexToAddress("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
		new(big.Int), data, types.AccessList{},
	})
	return append([]byte{2}, b...), err
}

// words are what a forged transaction is said to be: what it is, if that can be decoded. Those of kind other-words hide
// the recipient.
func words(kind string, raw []byte) []intent.Fact {
	tx, err := evm.Decode(raw)
	if err != nil {
		return []intent.Fact{{Name: "operation", Value: "native-transfer"}}
	}
	var facts []intent.Fact
	for _, l := range tx.Facts().Lines() {
		if kind == "other-words" && l.Name == "destination" {
			l.Value = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
		}
		facts = append(facts, intent.Fact(l))
	}
	return facts
}

func (w *circle) as(ts *testscript.TestScript, person string) (*client.Circle, client.Vault, context.Context) {
	c, err := w.local.As(person)
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	ts.Defer(cancel)
	ts.Defer(c.Close)
	v, _, err := c.Vault(ctx, local.VaultName)
	ts.Check(err)
	return c, v, ctx
}

// forge KIND proposes, as alice, a transaction that the program itself would never build, and
// sets $ID.
func (w *circle) forge(ts *testscript.TestScript, _ bool, args []string) {
	c, v, ctx := w.as(ts, "alice")
	raw, err := forged[args[0]]()
	ts.Check(err)
	r, err := v.Root("")
	ts.Check(err)
	from, _, err := v.Address(r, v.Chains[0], []uint32{0, 0, 0})
	ts.Check(err)
	now := client.Now()
	s, err := intent.Intent{
		Charter: v.Charter, Vault: v.ID, Key: r.Record.KeyID, Epoch: r.Record.Hash(), Address: from, Chain: v.Chains[0],
		Purpose: intent.PurposeTransaction, Transaction: raw, Facts: words(args[0], raw), Initiator: "alice", Created: now, Expires: now.Add(time.Hour),
	}.Statement(client.NewSalt())
	ts.Check(err)
	taken, err := c.SubmitStatement(ctx, s)
	ts.Check(err)
	if _, err := taken.Need("propose", 3); err != nil {
		ts.Fatalf("%v", err)
	}
	ts.Setenv("ID", s.ID().String())
}

// misvote ID hands in bob's approval of other bytes under the intent's id.
func (w *circle) misvote(ts *testscript.TestScript, _ bool, args []string) {
	c, _, ctx := w.as(ts, "bob")
	id, err := statement.ParseID(args[0])
	ts.Check(err)
	sig, err := c.Signer().Sign(ctx, signet.Approve, []byte("other bytes\n"))
	ts.Check(err)
	answers := c.Submit(ctx, &v1.SubmitRequest{What: &v1.SubmitRequest_Vote{Vote: &v1.Vote{Intent: id[:], Verb: "approve", Signature: sig}}})
	for _, a := range answers {
		if a.Err == nil || client.Classify(a.Err) != client.Refused || !strings.Contains(a.Err.Error(), "does not cover") {
			ts.Fatalf("node %s: %v", a.Node, a.Err)
		}
	}
}

// wallet NAME FILE lets a wallet sign typed data and sets $SIGNATURE.
func walletSigns(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv("SIGNATURE", "0x"+hex.EncodeToString(signettest.NewWallet(args[0]).Sign([]byte(ts.ReadFile(args[1])))))
}

// recoverSender reads a signed transaction with go-ethereum alone.
func recoverSender(ts *testscript.TestScript, raw string) (*types.Transaction, common.Address) {
	b, err := hex.DecodeString(strings.TrimPrefix(raw, "0x"))
	ts.Check(err)
	var tx types.Transaction
	ts.Check(tx.UnmarshalBinary(b))
	sender, err := types.Sender(types.LatestSignerForChainID(tx.ChainId()), &tx)
	ts.Check(err)
	return &tx, sender
}

// untouchedAgent holds a key that nobody touches: it is asked to sign, and never answers.
type untouchedAgent struct {
	agent.ExtendedAgent
	asked string // a file, made once it is asked
}

func (a untouchedAgent) SignWithFlags(ssh.PublicKey, []byte, agent.SignatureFlags) (*ssh.Signature, error) {
	if err := os.WriteFile(a.asked, nil, 0o600); err != nil {
		return nil, err
	}
	select {}
}

// untouched PERSON puts a person's key into an agent and sets $SSH_AUTH_SOCK and $ASKED.
func (w *circle) untouched(ts *testscript.TestScript, _ bool, args []string) {
	raw, err := os.ReadFile(w.local.KeyFile(args[0]))
	ts.Check(err)
	key, err := ssh.ParseRawPrivateKey(raw)
	ts.Check(err)
	ring := agent.NewKeyring().(agent.ExtendedAgent)
	ts.Check(ring.Add(agent.AddedKey{PrivateKey: key}))
	socket := filepath.Join(ts.Getenv("SHORT"), "agent")
	l, err := net.Listen("unix", socket)
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	asked := filepath.Join(ts.Getenv("SHORT"), "asked")
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(untouchedAgent{ring, asked}, conn) //nolint:errcheck // ends with the connection
		}
	}()
	ts.Setenv("SSH_AUTH_SOCK", socket)
	ts.Setenv("ASKED", asked)
}

// call calls a method of the chain's node: chain METHOD PARAMETER…, JSON or else text.
func (w *circle) call(ts *testscript.TestScript, _ bool, args []string) {
	var params []any
	for _, arg := range args[1:] {
		var p any
		if json.Unmarshal([]byte(arg), &p) != nil {
			p = arg
		}
		params = append(params, p)
	}
	var result any
	w.chain.Call(w.t, &result, args[0], params...)
}
