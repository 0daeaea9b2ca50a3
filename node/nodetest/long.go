package nodetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/pulse"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/wallet"
)

// A long history is what a circle's logs look like after years: each signature and proof in it holds, and no node had to sign together for it. The
// vault's key is made up of its shares, which nobody but a test can do.
type long struct {
	w      *World
	all    []*Published
	hashes [][]tlog.Hash // of each log's tree
	heads  []tlog.Head
	vault  statement.ID
	addr   wallet.Address
}

// Prolong makes published logs longer: so many requests, proposed, approved, allowed and signed, 7 leaves of each log; and every so many of them a
// heartbeat of each host, with proofs of its share. Each log is signed again, and cosigned by nobody.
func (w *World) Prolong(all []*Published, vault statement.ID, addr wallet.Address, requests, every int) {
	w.T.Helper()
	w.ProlongBy(all, vault, addr, w.Steal(vault, hd.Path(addr.Path)).Bytes(), requests, every)
}

// ProlongBy is Prolong with signatures by another key, whose address may be the one that the requests name.
func (w *World) ProlongBy(all []*Published, vault statement.ID, addr wallet.Address, key []byte, requests, every int) {
	w.T.Helper()
	x := &long{w: w, all: all, hashes: make([][]tlog.Hash, len(all)), heads: make([]tlog.Head, len(all)), vault: vault, addr: addr}
	for i, p := range all {
		leaves := p.Leaves
		p.Leaves = nil
		x.put(i, leaves...)
	}
	for n := range requests {
		w.Now = w.Now.Add(time.Minute)
		x.request(uint64(n)+100, key)
		if n%every == every-1 {
			x.beat()
		}
	}
	for _, p := range all {
		if err := p.Sign(); err != nil {
			w.T.Fatal(err)
		}
		p.Seen = nil
	}
}

// put appends leaves to a log.
func (x *long) put(i int, leaves ...tlog.Filed) {
	reader := tlog.ReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, n := range indexes {
			out = append(out, x.hashes[i][n])
		}
		return out, nil
	})
	for _, l := range leaves {
		_, fresh, err := tlog.Append(int64(len(x.all[i].Leaves)), l.Leaf.Encode(), reader)
		if err != nil {
			x.w.T.Fatal(err)
		}
		x.hashes[i] = append(x.hashes[i], fresh...)
		x.all[i].Leaves = append(x.all[i].Leaves, l)
	}
	var err error
	if x.heads[i], err = tlog.Root(int64(len(x.all[i].Leaves)), reader); err != nil {
		x.w.T.Fatal(err)
	}
}

func (x *long) request(nonce uint64, key []byte) {
	w, vault := x.w, [32]byte(x.vault)
	it := w.Intent(x.vault, x.addr, nonce)
	s, proposal := w.Proposal(it)
	id := [32]byte(s.ID())
	leaves := []tlog.Filed{tlog.Says(tlog.KindPrivate, w.Now, vault, s.Bytes(), proposal.Fields[1])}
	for _, a := range Approvers {
		leaves = append(leaves, tlog.Says(tlog.KindVote, w.Now, vault, w.Vote(s, a, signet.Approve).Fields[2]).On(id))
	}
	v, _ := w.Hosts[0].Keeper.Root(x.vault, w.Suite)
	var decisions []tlog.Filed
	for _, h := range w.Hosts {
		r := intent.Ruling{Verdict: intent.Allow, Rule: "policy", Tally: intent.Tally{Approved: slices.Sorted(slices.Values(Approvers))}}
		d, err := intent.NewDecision(s, v.Vault, h.Own.Name, r, intent.Facts{Decoded: Words(it)}, w.Now).Statement(w.Salt())
		if err != nil {
			w.T.Fatal(err)
		}
		sig, err := signet.SignNode(h.Key, d)
		if err != nil {
			w.T.Fatal(err)
		}
		decisions = append(decisions, tlog.Says(tlog.KindDecision, w.Now, vault, d.Bytes(), sig).On(id))
	}
	signed := x.sign(it, key)
	for i := range x.all {
		x.put(i, leaves...)
		x.put(i, decisions[i])
		for j, d := range decisions {
			if j != i {
				d.Kind = tlog.KindHeard
				x.put(i, d)
			}
		}
		x.put(i, tlog.Filed{Leaf: tlog.Leaf{Kind: tlog.KindSigned, Time: w.Now, Vault: vault, ID: signed.Hash, About: id}, Body: tlog.Body{Content: signed.Raw}})
	}
}

func (x *long) sign(it intent.Intent, key []byte) *evm.Signed {
	tx, err := evm.Decode(it.Transaction)
	if err != nil {
		x.w.T.Fatal(err)
	}
	private, err := crypto.ToECDSA(key)
	if err != nil {
		x.w.T.Fatal(err)
	}
	digest := tx.Digest()
	sig, err := crypto.Sign(digest[:], private)
	if err != nil {
		x.w.T.Fatal(err)
	}
	from, err := evm.ParseAddress(it.Address)
	if err != nil {
		x.w.T.Fatal(err)
	}
	signed, err := tx.Assemble(from, [32]byte(sig[:32]), [32]byte(sig[32:64]), sig[64])
	if err != nil {
		x.w.T.Fatal(err)
	}
	return signed
}

// beat files a heartbeat of each host in all logs.
func (x *long) beat() {
	w := x.w
	v, _ := w.Hosts[0].Keeper.Root(x.vault, w.Suite)
	rec := v.Current.Record
	_, roster, _ := w.Hosts[0].Circle.Roster()
	var beats []tlog.Filed
	for i, h := range w.Hosts {
		b := pulse.Heartbeat{Roster: roster.ID, Operator: h.Own.Name, Version: "devel", Created: w.Now.Truncate(time.Second)}
		for j, o := range w.Hosts {
			if j != i {
				b.Peers = append(b.Peers, pulse.Peer{Operator: o.Own.Name, Origin: tlog.Origin(o.Own.Identity, o.Fence.Confirmed()), Log: x.heads[j]})
			}
		}
		slices.SortFunc(b.Peers, func(a, b pulse.Peer) int { return strings.Compare(a.Operator, b.Operator) })
		keys, err := w.Keys(h, rec)
		if err != nil {
			w.T.Fatal(err)
		}
		self := mpc.IDOf(h.Own.Identity)
		m := rec.Members[slices.IndexFunc(rec.Members, func(m epoch.Member) bool { return m.ID == self })]
		b, err = pulse.Draft(b, w.Salt()).Prove(rec.KeyID, rec.Hash(), [16]byte(self), keys.Share, m.Public, w.Rand)
		var s statement.Statement
		if err == nil {
			s, err = b.Statement()
		}
		var sig []byte
		if err == nil {
			sig, err = signet.SignNode(h.Key, s)
		}
		if err != nil {
			w.T.Fatal(fmt.Errorf("heartbeat: %w", err))
		}
		beats = append(beats, tlog.Says(tlog.KindHeartbeat, w.Now, [32]byte{}, s.Bytes(), sig))
	}
	for i := range x.all {
		x.put(i, beats...)
	}
}
