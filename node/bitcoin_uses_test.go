package node_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	mpc "github.com/ostraka/ostraka/mpc/session"
)

// opens is a setup of a session for one signature of an intent, of whose fields each may be another signature's: the key from one, path, digest and script tree from others.
func (m mixed) opens(st statement.Statement, key, path, digest, tree effect.Use) *mpc.Setup {
	m.T.Helper()
	root, ok := m.Hosts[0].Keeper.Root(m.vault, key.Suite)
	if !ok {
		m.T.Fatal("no such key")
	}
	d, err := protocol.Digest(digest.Suite, digest.Message)
	if err != nil {
		m.T.Fatal(err)
	}
	r := root.Current.Record
	req := protocol.Request{Purpose: intent.PurposeTransaction, Intent: st.ID(), Path: hd.Path(path.Path[:]), Digest: d, Tree: tree.Root}
	s := &mpc.Setup{
		Protocol: protocol.ProtocolSign, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: r.Threshold, Payload: req.Encode(),
		Nonce: [32]byte{1}, NotAfter: m.Now.Add(time.Minute).UTC().Truncate(time.Second),
	}
	for _, p := range r.Members[:r.Threshold] {
		s.Parties = append(s.Parties, p.Party)
	}
	s.Opener = s.Parties[0].ID
	return s
}

// Of a transaction with several signatures a node joins a session for each as it decoded it, and for nothing that is put together from two: one coin's digest by another one's key, path or script
// tree. Such a signature would serve nobody today, and whoever may ask for it could look for one that does.
func TestSignaturesAreNotMixed(t *testing.T) {
	t.Parallel()
	m := mixingWith(t, 2, &charter.Recovery{Key: [32]byte(secp256k1.Group{}.Generator().Bytes()[1:]), Blocks: 144})
	plain := m.coin(charter.SuiteBIP340, 1, 0, 25_000)
	plain.Plain, plain.Outpoint.Index = true, 7
	it := m.asks(m.pays(nil, append(m.three(), plain)...), 0)
	st, n := m.Proposal(it)
	m.hand(n)
	m.Pass = withoutSessions
	m.Approve(st)
	h := m.Hosts[0]
	c, err := m.Context(h, m.vault)
	if err != nil {
		t.Fatal(err)
	}
	v, err := payload.BitcoinVault(regtest, c)
	if err != nil {
		t.Fatal(err)
	}
	suite := charter.SuiteECDSA
	if root, _ := h.Keeper.Root(m.vault, charter.SuiteBIP340); root.Current.Record.KeyID == it.Key {
		suite = charter.SuiteBIP340
	}
	p, err := payload.DecodeBitcoin(it, suite, v)
	if err != nil {
		t.Fatal(err)
	}
	m.Run("it is allowed", func() bool { s := m.State(h, st.ID()); return s == intent.Allowed || s == intent.Signing })
	const refusal = "is not what this node decoded"
	joins := func(key, path, digest, tree effect.Use) bool {
		_, err := h.Desk.Admit(context.Background(), m.Clock(h), m.opens(st, key, path, digest, tree))
		return err == nil || !strings.Contains(err.Error(), refusal)
	}
	all, mixtures := p.Uses(), 0
	for _, key := range all {
		for _, path := range all {
			for _, digest := range all {
				for _, tree := range all {
					known := slices.ContainsFunc(all, func(u effect.Use) bool {
						return u.Suite == key.Suite && u.Path == path.Path && string(u.Message) == string(digest.Message) && string(u.Root) == string(tree.Root)
					})
					if known {
						continue // below: whoever joins is busy
					}
					if mixtures++; joins(key, path, digest, tree) {
						t.Errorf("it joins for the digest of %s with the key of %s, the path of %s and the tree of %s", digest.Address, key.Address, path.Address, tree.Address)
					}
				}
			}
		}
	}
	if len(all) != 4 || mixtures < 100 {
		t.Fatalf("%d signatures, %d mixtures", len(all), mixtures)
	}
	if !joins(all[2], all[2], all[2], all[2]) {
		t.Error("it does not join for what it decoded")
	}
}
