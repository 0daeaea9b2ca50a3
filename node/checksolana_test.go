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
	// What cannot land by what lies there waits: nothing is denied for good for what the next block may bring.
	poor := func(what, want string, p *payload.Solana, before ...payload.Payload) {
		t.Helper()
		ask := node.AskSolana(here) // which remembers nothing
		why, err := "", node.ErrAsking
		for ; errors.Is(err, node.ErrAsking); time.Sleep(20 * time.Millisecond) {
			_, why, err = ask(t.Context(), decide.Question{Payload: p, Before: before})
		}
		if why != "" || (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: denied for %q, %v; want %q", what, why, err, want)
		}
	}
	pays := builds(litesvm.Chain, 6, block)
	chain.Give(t, token, payee, 1)
	chain.SetAccount(t, own, litesvm.Account{Lamports: 890_880 + 2*5_000})
	poor("the payee's account is there", "", pays)
	poor("behind another", "", pays, pays)
	poor("behind two others", "behind the 2 others of its address that may land yet: "+solana.Key(own).String()+" would hold 885880 lamports once the fee is paid", pays, pays, pays)
	chain.SetAccount(t, own, litesvm.Account{Lamports: 4_999})
	poor("no fee", "it would not land: "+solana.Key(own).String()+" has 4999 lamports left where this node reads, and the fee takes 5000; it waits until it can", pays)
	poor("behind one that cannot land either", "has 4999 lamports left", pays, pays)
	chain.SetAccount(t, own, litesvm.Account{Lamports: 1e9})
	chain.ExpireBlockhash(t)
	if why, err := asked(here, builds(litesvm.Chain, 6, block)); why != "" || err == nil || !strings.Contains(err.Error(), "too old") {
		t.Errorf("a dead block: %q, %v", why, err)
	}
	chain.Stop()
	if why, err := asked(here, builds(litesvm.Chain, 6, solana.Key(own))); why != "" || err == nil {
		t.Errorf("the endpoint is gone: %q, %v", why, err)
	}
}

// What a fee usually is does not grow with the units that whoever proposes asks for: four times that is what may be burnt in an emergency (spec/sos 5.5).
func TestUsualOnSolana(t *testing.T) {
	t.Parallel()
	chain := litesvm.Start(t)
	own, payee := solana.Key(litesvm.Address(litesvm.Private("own"))), solana.Key(litesvm.Address(litesvm.Private("payee")))
	panel, err := sol.NewPanel([]string{chain.URL}, rpc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	block := solana.Key(chain.Blockhash(t))
	for limit, want := range map[uint32]uint64{1_000: 5_010, 1_500: 5_015, 1_400_000: 5_015, 0: 5_013} { // at 10,000 millionths a unit
		r := solana.Request{Payer: own, Blockhash: block, UnitLimit: limit, UnitPrice: 1_000_000, Steps: []solana.Step{solana.Transfer(own, payee, 5)}}
		world := solana.Readings{Recents: map[solana.Key]bool{block: true}, Accounts: map[solana.Key]solana.Account{payee: {}}}
		raw, err := solana.Build(r, payload.SolanaContext(litesvm.Chain, own, [3]uint32{}, world))
		if err != nil {
			t.Fatal(err)
		}
		p, err := payload.Read(intent.Intent{Chain: litesvm.Chain, Address: own.String(), Purpose: intent.PurposeTransaction, Transaction: raw}, charter.SuiteEd25519, payload.Context{})
		if err != nil {
			t.Fatal(err)
		}
		usual := node.UsualOnSolana(map[string]*sol.Panel{litesvm.Chain: panel})
		fee, err := usual(t.Context(), p)
		for ; errors.Is(err, node.ErrAsking); time.Sleep(20 * time.Millisecond) {
			fee, err = usual(t.Context(), p)
		}
		if err != nil || fee == nil || fee.Uint64() != want {
			t.Errorf("who asks for %d units usually pays %s, %v; want %d", limit, fee, err, want)
		}
	}
}
