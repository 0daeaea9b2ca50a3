package main

import (
	"crypto/sha512"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/edwards25519"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/internal/components/litesvm"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/wallet"
)

// publishesOnSolana is a circle that signed one payment of a vault on a chain.
func publishesOnSolana(t *testing.T, n *litesvm.Node) *publishedCircle {
	t.Helper()
	w := nodetest.New(t, 3)
	w.Suite, w.Now = charter.SuiteEd25519, time.Now().UTC().Truncate(time.Second).Add(-24*time.Hour)
	w.Change = func(d *charter.Document) {
		d.Assets = []charter.Asset{{Name: "sol", Chain: mainSolana, Decimals: 9, Unit: 6}}
		d.Policy = "@id(\"moves\") permit (principal, action in [Action::\"transfer\", Action::\"fee\", Action::\"proof\"], resource);\n"
		for i := range d.Vaults {
			d.Vaults[i].Publish = true
		}
	}
	w.CheckOther = func(*nodetest.Host, decide.Question) (bool, string, error) { return true, "", nil }
	w.Found()
	c := &publishedCircle{World: w, t: t}
	c.vault = w.Vault(3)
	c.address = w.Account(c.vault)
	own, err := solana.ParseKey(c.address.Address)
	if err != nil {
		t.Fatal(err)
	}
	n.Airdrop(t, litesvm.Key(own), 5_000_000_000)
	payee, block := solana.Key(litesvm.Address(litesvm.Private("payee"))), solana.Key(n.Blockhash(t))
	read := solana.Readings{Accounts: map[solana.Key]solana.Account{own: {}, payee: {}}, Recents: map[solana.Key]bool{block: true}}
	raw, err := solana.Build(solana.Request{Payer: own, Blockhash: block, Steps: []solana.Step{solana.Transfer(own, payee, 1_000_000_000)}}, payload.SolanaContext(mainSolana, own, [3]uint32(c.address.Path), read))
	if err != nil {
		t.Fatal(err)
	}
	it := w.Intent(c.vault, wallet.Address{Path: c.address.Path, Suite: c.address.Suite, Chain: mainSolana, Address: c.address.Address}, 0)
	it.Purpose, it.Claim, it.Transaction, it.Facts = intent.PurposeTransaction, intent.Claim{}, raw, nil
	p, err := payload.Read(it, charter.SuiteEd25519, payload.Context{})
	if err != nil {
		t.Fatal(err)
	}
	it.Facts = intent.Written(payload.Facts(p))
	s, note := w.Proposal(it)
	w.Run("proposal taken", func() bool { _, err := w.Submit(note); return err == nil })
	w.Approve(s)
	w.Run("signed everywhere", func() bool { return w.Signed(s) })
	return c
}

// stolen is a payment that no node signed: with the key made up of stolen shares, as RFC 8032 has it.
func (c *publishedCircle) stolen(n *litesvm.Node) []byte {
	c.t.Helper()
	own, _ := solana.ParseKey(c.address.Address)
	payee := litesvm.Address(litesvm.Private("thief"))
	data := binary.LittleEndian.AppendUint64([]byte{2, 0, 0, 0}, 2_000_000_000)
	var message []byte
	message = append(append([]byte{1, 0, 1, 3}, own[:]...), payee[:]...)
	hash := n.Blockhash(c.t)
	message = append(append(append(message, solana.System[:]...), hash[:]...), 1, 2, 2, 0, 1, byte(len(data)))
	message = append(message, data...)

	scalar := func(parts ...[]byte) *edwards25519.Scalar {
		h := sha512.Sum512(slices.Concat(parts...))
		s, err := new(edwards25519.Scalar).SetUniformBytes(h[:])
		if err != nil {
			c.t.Fatal(err)
		}
		return s
	}
	key := c.Steal(c.vault, hd.Path(c.address.Path)).Bytes()
	a, err := new(edwards25519.Scalar).SetCanonicalBytes(key)
	if err != nil {
		c.t.Fatal(err)
	}
	nonce := scalar(message)
	point := new(edwards25519.Point).ScalarBaseMult(nonce).Bytes()
	s := new(edwards25519.Scalar).MultiplyAdd(scalar(point, own[:], message), a, nonce)
	return slices.Concat([]byte{1}, point, s.Bytes(), message)
}

// t operators who sign on Solana and tell no log are found, by their vault's own signature.
func TestVerifyFindsTheUnloggedTransferOnSolana(t *testing.T) {
	n := litesvm.Start(t)
	n.Pose(t, "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d") // mainnet, for which the circle's vault signs
	c := publishesOnSolana(t, n)
	dirs := c.folders(false)
	n.Send(t, c.signed)
	rpc := mainSolana + "=" + n.URL
	code, r, errs := verified(t, append(dirs, "--rpc", rpc)...)
	if on := r.Vaults[0].Addresses[0].Chained; code != codeDone || r.Failed || on == nil || on.Outgoing != 1 || on.Balance != "3999995000" {
		t.Fatalf("an honest circle: exit code %d: %q%s; %+v", code, failedClaims(r), errs, on)
	}
	n.SetTime(t, c.Now.Add(-time.Hour).Unix()) // the logs go on for longer
	id := n.Send(t, c.stolen(n))
	code, r, errs = verified(t, append(dirs, "--rpc", rpc)...)
	all := failedClaims(r)
	if code != codeUnverified || len(all) != 1 || !strings.Contains(all[0], "unlogged: transaction "+id+" (slot ") || !strings.Contains(all[0], "its signature, verified here, is by the address's key") {
		t.Errorf("exit code %d: %q%s", code, all, errs)
	}
}
