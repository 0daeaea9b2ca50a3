package test

import (
	"encoding/base64"
	binary64 "encoding/binary"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/internal/components/litesvm"
)

// What three operators' nodes do on a real runtime of Solana, told by the commands that people type.
func TestSolanaStories(t *testing.T) {
	chain := litesvm.Start(t)
	chain.Warp(t, 10)
	w := &solanas{t: t, chain: chain, tokens: map[string]litesvm.Token{"USD": chain.Mint(t, 6), "TAX": chain.MintWithFee(t, 2, 100, 500)}}
	vars := map[string]string{"CHAIN": litesvm.Chain, "RPC": chain.URL, "PAYEE": litesvm.Text(litesvm.Address(litesvm.Private("payee"))), "OTHER": litesvm.Text(litesvm.Address(litesvm.Private("other")))}
	assets := []charter.Asset{{Name: "sol", Chain: litesvm.Chain, Decimals: 9, Unit: 6}}
	for name, token := range w.tokens {
		vars[name] = litesvm.Text(token.Mint)
		assets = append(assets, charter.Asset{Name: strings.ToLower(name), Chain: litesvm.Chain, Contract: vars[name], Decimals: int(token.Decimals), Unit: int(token.Decimals) - 2})
	}
	c := settled(t, local.Config{Suite: charter.SuiteEd25519, Chain: litesvm.Chain, RPC: map[string]string{litesvm.Chain: chain.URL}, Threshold: 2, Assets: assets})
	tell(t, c, stories(t, "solana"), w.commands(), vars)
}

// solanas are what the stories of testdata/solana work with.
type solanas struct {
	t      *testing.T
	chain  *litesvm.Node
	tokens map[string]litesvm.Token
}

func (w *solanas) commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		// give ADDRESS LAMPORTS makes an address hold coins.
		"give": func(ts *testscript.TestScript, _ bool, args []string) {
			w.chain.Airdrop(w.t, key(ts, args[0]), amount(ts, args[1]))
		},
		// mint TOKEN ADDRESS AMOUNT makes tokens, in the smallest unit.
		"mint": func(ts *testscript.TestScript, _ bool, args []string) {
			w.chain.Give(w.t, w.tokens[args[0]], key(ts, args[1]), amount(ts, args[2]))
		},
		// pass SLOTS lets the chain go on: the blockhash of before is dead then.
		"pass": func(ts *testscript.TestScript, _ bool, args []string) { w.chain.Warp(w.t, amount(ts, args[0])) },
		// holds ADDRESS LAMPORTS wants just that.
		"holds": func(ts *testscript.TestScript, _ bool, args []string) {
			if got := w.chain.Balance(w.t, key(ts, args[0])); got != amount(ts, args[1]) {
				ts.Fatalf("%s holds %d lamports, not %s", args[0], got, args[1])
			}
		},
		// has ADDRESS TOKEN AMOUNT wants the token account by rule to hold just that.
		"has": func(ts *testscript.TestScript, _ bool, args []string) {
			token := w.tokens[args[1]]
			at, err := solana.AssociatedAccount(solana.Key(key(ts, args[0])), solana.Key(token.Mint), solana.Key(token.Program))
			ts.Check(err)
			var got struct {
				Value struct {
					Data [2]string `json:"data"`
				} `json:"value"`
			}
			w.chain.Call(w.t, &got, "getAccountInfo", at.String(), map[string]string{"encoding": "base64"})
			if held := tokenAmount(ts, got.Value.Data[0]); held != amount(ts, args[2]) {
				ts.Fatalf("%s of %s holds %d of the smallest unit, not %s", args[1], args[0], held, args[2])
			}
		},
		// nonce-account sets $NONCE to the first one that is open.
		"nonce-account": func(ts *testscript.TestScript, _ bool, _ []string) {
			ts.Check(ts.Exec("ostraka", "nonce", "list", "--json", "--vault", local.VaultName, "--account", "ops/main"))
			var doc struct {
				Accounts []struct{ Address string } `json:"nonce_accounts"`
			}
			ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &doc))
			if len(doc.Accounts) == 0 {
				ts.Fatalf("there is none")
			}
			ts.Setenv("NONCE", doc.Accounts[0].Address)
		},
	}
}

func key(ts *testscript.TestScript, text string) litesvm.Key {
	k, err := solana.ParseKey(text)
	ts.Check(err)
	return litesvm.Key(k)
}

func amount(ts *testscript.TestScript, text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	ts.Check(err)
	return n
}

// tokenAmount is what a token account's data say that it holds.
func tokenAmount(ts *testscript.TestScript, text string) uint64 {
	data, err := base64.StdEncoding.DecodeString(text)
	ts.Check(err)
	if len(data) < 72 {
		ts.Fatalf("it is no token account: %d bytes", len(data))
	}
	return binary64.LittleEndian.Uint64(data[64:72])
}
