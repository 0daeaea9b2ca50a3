package node_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/internal/components/litesvm"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/rpc/sol"
)

// What a node with real endpoints says of a transaction of Solana: all is well; what time may mend; and what is not so. Without an endpoint it waits.
func TestSolanaAsked(t *testing.T) {
	t.Parallel()
	chain := litesvm.Start(t)
	chain.Warp(t, 5)
	own, payee := litesvm.Address(litesvm.Private("own")), litesvm.Address(litesvm.Private("payee"))
	chain.Airdrop(t, own, 1e9)
	token := chain.Mint(t, 6)
	chain.Give(t, token, own, 1_000_000)
	panel, err := sol.NewPanel([]string{chain.URL}, rpc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	builds := func(on string, decimals uint8, block solana.Key) *payload.Solana {
		steps, err := solana.Pay(solana.TokenPayment{Program: solana.SPLToken, Mint: solana.Key(token.Mint), Owner: solana.Key(own), Wallet: solana.Key(payee), Amount: 5, Decimals: decimals, Open: true})
		if err != nil {
			t.Fatal(err)
		}
		from, err := solana.AssociatedAccount(solana.Key(own), solana.Key(token.Mint), solana.SPLToken)
		if err != nil {
			t.Fatal(err)
		}
		read := solana.Readings{Recents: map[solana.Key]bool{block: true}, Accounts: map[solana.Key]solana.Account{
			solana.Key(payee): {}, solana.Key(token.Mint): {Kind: solana.Mint, Program: solana.SPLToken, Decimals: decimals},
			from: {Kind: solana.TokenAccount, Program: solana.SPLToken, Mint: solana.Key(token.Mint), Owner: solana.Key(own)},
		}}
		raw, err := solana.Build(solana.Request{Payer: solana.Key(own), Blockhash: block, Steps: steps}, payload.SolanaContext(on, solana.Key(own), [3]uint32{}, read))
		if err != nil {
			t.Fatal(err)
		}
		it := intent.Intent{Chain: on, Address: solana.Key(own).String(), Purpose: intent.PurposeTransaction, Transaction: raw}
		p, err := payload.Read(it, charter.SuiteEd25519, payload.Context{})
		if err != nil {
			t.Fatal(err)
		}
		return p.(*payload.Solana)
	}
	asked := func(panels map[string]*sol.Panel, p *payload.Solana) (why string, err error) {
		ask := node.AskSolana(panels)
		checked := false
		for err = node.ErrAsking; errors.Is(err, node.ErrAsking); time.Sleep(20 * time.Millisecond) {
			checked, why, err = ask(t.Context(), decide.Question{Payload: p})
		}
		if !checked {
			t.Fatal("nobody looked")
		}
		return why, err
	}
	block := solana.Key(chain.Blockhash(t))
	here := map[string]*sol.Panel{litesvm.Chain: panel, mainnet: panel}
	if why, err := asked(here, builds(litesvm.Chain, 6, block)); why != "" || err != nil {
		t.Errorf("the honest one: %q, %v", why, err)
	}
	if why, err := asked(here, builds(litesvm.Chain, 2, block)); !strings.Contains(why, "6 decimals") || err != nil {
		t.Errorf("other decimals: %q, %v", why, err)
	}
	if why, err := asked(here, builds(mainnet, 6, block)); !strings.Contains(why, "chain id") || err != nil {
		t.Errorf("another network, where the vault has the same key: %q, %v", why, err)
	}
	if why, err := asked(nil, builds(litesvm.Chain, 6, block)); why != "" || err == nil || !strings.Contains(err.Error(), "this node has no endpoint of it") {
		t.Errorf("no endpoint: %q, %v", why, err)
	}
	chain.ExpireBlockhash(t)
	if why, err := asked(here, builds(litesvm.Chain, 6, block)); why != "" || err == nil || !strings.Contains(err.Error(), "too old") {
		t.Errorf("a dead block: %q, %v", why, err)
	}
	chain.Stop()
	if why, err := asked(here, builds(litesvm.Chain, 6, solana.Key(own))); why != "" || err == nil {
		t.Errorf("the endpoint is gone: %q, %v", why, err)
	}
}
