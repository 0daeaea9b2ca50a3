package decide_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/wallet"
)

// parts is a circle whose vault is asked for transactions that need several signatures.
type parts struct {
	*nodetest.World
	vault statement.ID
	addr  wallet.Address
	told  map[string][]outbox.Note // by intent and place: the different ones that were sent
}

func circle(t *testing.T, n, threshold int) *parts {
	p := &parts{World: nodetest.New(t, n)}
	p.vault, p.addr = nodetest.Ready(p.World, threshold)
	p.Watch.Digests = decide.Digests
	return p
}

func (p *parts) clone(t *testing.T, seed string) *parts {
	c := &parts{World: p.Clone(t, seed), vault: p.vault, addr: p.addr}
	c.Watch.Digests = decide.Digests
	return c
}

// asks has everybody asked for n signatures by one intent.
func (p *parts) asks(n int, nonce uint64) statement.Statement {
	p.T.Helper()
	it := p.Intent(p.vault, p.addr, nonce)
	it.Memo = decide.Several(n)
	s, note := p.Proposal(it)
	p.Run("proposal taken", func() bool { _, err := p.Submit(note); return err == nil })
	p.Approve(s)
	return s
}

// watch takes note of the parts that are told, and lets through what pass does not hold back.
func (p *parts) watch(pass func(nodetest.Parcel, outbox.Note) bool) {
	p.told = map[string][]outbox.Note{}
	p.Pass = func(x nodetest.Parcel) []nodetest.Parcel {
		if x.Frame[0] != nodetest.FrameNote {
			return []nodetest.Parcel{x}
		}
		n, err := outbox.Decode(x.Frame[1:])
		if err != nil || n.Kind != decide.NotePart {
			return []nodetest.Parcel{x}
		}
		at := fmt.Sprintf("%x/%x", n.Fields[0], n.Fields[1])
		if !slices.ContainsFunc(p.told[at], func(o outbox.Note) bool { return o.ID() == n.ID() }) {
			p.told[at] = append(p.told[at], n)
		}
		if pass != nil && !pass(x, n) {
			return nil
		}
		return []nodetest.Parcel{x}
	}
}

// seat is the host at a place of the key's parties: the first ones sign, while they are there.
func (p *parts) seat(i int) *nodetest.Host {
	p.T.Helper()
	v, ok := p.Hosts[0].Keeper.Root(p.vault, p.Suite)
	at := slices.IndexFunc(p.Hosts, func(h *nodetest.Host) bool { return ok && mpc.IDOf(h.Own.Identity) == v.Parties[i].ID })
	if at < 0 {
		p.T.Fatal("the vault has no such party")
	}
	return p.Hosts[at]
}

func (p *parts) kept(h *nodetest.Host) int { return len(p.Rows(h, store.Prefix("part"))) }

// Each signature is a session's, and is told once; all members hold those that were made, and none once the transaction is whole. Sessions that made one are no attempts:
// there may be more of them than an intent has attempts.
func TestSeveralSignatures(t *testing.T) {
	t.Parallel()
	p := circle(t, 3, 2)
	most := 0
	p.watch(func(nodetest.Parcel, outbox.Note) bool { most = max(most, p.kept(p.seat(2))); return true })
	n := intent.MaxAttempts + 2
	s := p.asks(n, 0)
	p.Run("signed", func() bool { return p.Signed(s) })
	if len(p.told) != n-1 || most < n-2 {
		t.Errorf("%d signatures were told, and the one who signs none held %d at most; %d are needed", len(p.told), most, n)
	}
	for at, notes := range p.told {
		if len(notes) != 1 {
			t.Errorf("%s was made %d times", at, len(notes))
		}
	}
	for _, h := range p.Hosts {
		if k := p.kept(h); k > 0 {
			t.Errorf("%s keeps %d signatures of what is whole", h.Own.Name, k)
		}
	}
}

// Who signs the next signature need not have signed the last: one signer is gone after the first, and what it made is not made again.
func TestOthersSignOn(t *testing.T) {
	t.Parallel()
	p := circle(t, 3, 2)
	p.watch(nil)
	s := p.asks(4, 0)
	p.Run("two are made", func() bool { return p.kept(p.seat(2)) == 2 })
	p.Downtime = -1
	gone, rest := p.seat(0), []*nodetest.Host{p.seat(1), p.seat(2)}
	p.Crash(gone)
	p.Run("the others sign", func() bool {
		return !slices.ContainsFunc(rest, func(h *nodetest.Host) bool { return p.State(h, s.ID()) != intent.Signed })
	})
	for at, notes := range p.told {
		if !strings.HasSuffix(at, "/0002") && len(notes) != 1 { // the third may have been under way when it went
			t.Errorf("%s was made %d times", at, len(notes))
		}
	}
	p.Start(gone)
	p.Run("who was gone hears of it", func() bool { return p.Signed(s) })
}

// A node that dies in a session which is not the last of an intent has signed nothing that a chain takes: started again it signs on, though nobody can stand in for it.
func TestDiesBetweenParts(t *testing.T) {
	t.Parallel()
	p := circle(t, 2, 2)
	p.watch(nil)
	s := p.asks(4, 0)
	h := p.Hosts[0]
	p.Run("the second session runs", func() bool { return p.kept(h) == 1 && p.State(h, s.ID()) == intent.Signing })
	p.Downtime = 10 * time.Second
	p.Crash(h)
	p.Run("it is signed", func() bool { return p.Signed(s) })
}

// A session that failed here alone, after our last message had left, is no failure once another signer tells what it made: the intent goes on, though its other signature
// is all that is missing.
func TestPartOfASessionThatFailedHere(t *testing.T) {
	t.Parallel()
	p := circle(t, 2, 2)
	p.watch(nil)
	heed, h := p.Pass, p.Hosts[0]
	lost := 0
	p.Pass = func(x nodetest.Parcel) []nodetest.Parcel {
		if env, err := mpc.ReadEnvelope(x.Frame); err == nil && x.To == h && env.Round == 3 && len(p.told) == 0 {
			lost++
			return nil
		}
		return heed(x)
	}
	s := p.asks(2, 0)
	p.Run("it is signed", func() bool { return p.Signed(s) })
	if lost == 0 {
		t.Fatal("no last message was lost")
	}
}

// One signer keeps back its last message of each session, and what each made: it holds the whole transaction in the end, and the other none of its signatures. Where the intent comes to its end
// there, it counts as possibly signed, after a start as well: else people would propose it anew, and pay twice.
func TestWithheldParts(t *testing.T) {
	t.Parallel()
	p := circle(t, 2, 2)
	a, b := p.Hosts[0], p.Hosts[1]
	withheld := 0
	p.Pass = func(x nodetest.Parcel) []nodetest.Parcel {
		if x.To != a {
			return []nodetest.Parcel{x}
		}
		env, err := mpc.ReadEnvelope(x.Frame)
		n, noteErr := outbox.Decode(x.Frame[1:])
		note := x.Frame[0] == nodetest.FrameNote && noteErr == nil
		if err == nil && env.Round == 3 || note && (n.Kind == decide.NotePart || n.Kind == decide.NoteSigned) {
			withheld++
			return nil
		}
		return []nodetest.Parcel{x}
	}
	s := p.asks(2, 0)
	p.Run("the one who keeps all back holds it whole", func() bool { return p.State(b, s.ID()) == intent.Signed })
	if p.kept(a) > 0 || p.State(a, s.ID()) == intent.Signed || withheld < 2 {
		t.Fatalf("the other holds %d signatures, and it is %s there; %d messages were kept back", p.kept(a), p.State(a, s.ID()), withheld)
	}
	p.Run("it ends", func() bool { st := p.State(a, s.ID()); return st == intent.Failed || st == intent.Expired })
	p.Downtime = -1
	for _, when := range []string{"at its end", "after a start"} {
		if v, err := a.Desk.Show(s.ID()); err != nil || !v.Possibly {
			t.Errorf("%s it is %s, and not possibly signed (%v)", when, v.State, err)
		}
		p.Crash(a)
		p.Start(a)
	}
	// It shows itself on its chain.
	kept := a.Desk.Kept(p.Now)
	if len(kept) != 1 || kept[0].ID != s.ID() || kept[0].Raw != nil {
		t.Fatalf("%d may have been kept back: %+v", len(kept), kept)
	}
	whole, err := b.Desk.Show(s.ID())
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(whole.Raw)
	bad[len(bad)-1] ^= 1
	for _, raw := range [][]byte{bad, nil, whole.Raw[1:]} {
		if err := a.Desk.Found(context.Background(), p.Now, s.ID(), raw); err == nil || p.State(a, s.ID()) == intent.Signed {
			t.Fatalf("%x is taken: %v", raw, err)
		}
	}
	for range 2 {
		if err := a.Desk.Found(context.Background(), p.Now, s.ID(), whole.Raw); err != nil {
			t.Fatal(err)
		}
	}
	if v, err := a.Desk.Show(s.ID()); err != nil || v.State != intent.Signed || v.Possibly || len(a.Desk.Kept(p.Now)) > 0 || len(a.Desk.OnTheWay()) != 1 {
		t.Errorf("found on its chain it is %s, possibly signed %v, %d kept back, %d followed (%v)", v.State, v.Possibly, len(a.Desk.Kept(p.Now)), len(a.Desk.OnTheWay()), err)
	}
	p.Crash(a)
	p.Start(a)
	if p.State(a, s.ID()) != intent.Signed {
		t.Error("a start forgets it")
	}
}

// forges makes the notes of all of an intent's signatures by the stolen key.
func (p *parts) forges(s statement.Statement, digest [32]byte) (all []outbox.Note) {
	p.T.Helper()
	it, err := intent.Of(s)
	if err != nil {
		p.T.Fatal(err)
	}
	id := s.ID()
	for i, d := range decide.Digests(it, digest) {
		path := it.Path
		if i > 0 {
			path = [3]uint32{0, 0, uint32(i)}
		}
		key, err := crypto.ToECDSA(p.Steal(p.vault, path[:]).Bytes())
		if err != nil {
			p.T.Fatal(err)
		}
		sig, err := crypto.Sign(d[:], key)
		if err != nil {
			p.T.Fatal(err)
		}
		all = append(all, outbox.Note{Kind: decide.NotePart, Fields: [][]byte{id[:], {0, byte(i)}, sig}})
	}
	return all
}

// Who hears all signatures of a transaction one by one puts them together by itself. A second one for a place, be it as good, is no news.
func TestWhoHearsAllHasIt(t *testing.T) {
	t.Parallel()
	p := circle(t, 3, 2)
	c := p.seat(2)
	p.watch(func(x nodetest.Parcel, _ outbox.Note) bool { return x.To != c })
	s := p.asks(3, 0)
	p.Run("one is made", func() bool { return p.kept(p.seat(0)) > 0 && len(p.told) > 0 })
	first := p.first()
	p.Pass = func(nodetest.Parcel) []nodetest.Parcel { return nil } // nothing else comes
	it, err := intent.Of(s)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := evm.Decode(it.Transaction)
	if err != nil {
		t.Fatal(err)
	}
	stolen := p.forges(s, tx.Digest())
	tell := func(n outbox.Note) { p.Forge(p.seat(1), c, append([]byte{nodetest.FrameNote}, n.Encode()...)) }
	tell(stolen[0])
	rows := len(p.Rows(c, ""))
	if tell(first); len(p.Rows(c, "")) != rows || p.kept(c) != 1 || !bytes.Equal(p.Rows(c, store.Prefix("part"))[0].Value, stolen[0].Fields[2]) {
		t.Errorf("%d rows, then %d: the second took the first's place, or was logged", rows, len(p.Rows(c, "")))
	}
	tell(stolen[1])
	tell(stolen[2])
	if got := p.State(c, s.ID()); got != intent.Signed || p.kept(c) != 0 {
		t.Errorf("with all of them it is %s, and %d are kept; log:\n%s", got, p.kept(c), p.Tail())
	}
}

// first is the note that told the signature of the first place.
func (p *parts) first() outbox.Note {
	p.T.Helper()
	for at, notes := range p.told {
		if strings.HasSuffix(at, "/0000") {
			return notes[0]
		}
	}
	p.T.Fatal("the first signature was not told")
	return outbox.Note{}
}

// A part in any damaged form, of another intent or place, or of what needs one signature alone, is taken by nobody, leaves no row, and does not keep the true one from
// being taken; a node that starts again has it still, and finds one that somebody wrote into its store.
func TestPartRefused(t *testing.T) {
	t.Parallel()
	p := circle(t, 3, 2)
	c := p.seat(2)
	p.watch(func(x nodetest.Parcel, _ outbox.Note) bool { return x.To != c })
	single := p.Propose(p.vault, p.addr, 7)
	s := p.asks(3, 0)
	p.Run("one is made", func() bool { return p.kept(p.seat(0)) > 0 && len(p.told) > 0 })
	true1 := p.first()
	p.Pass = func(nodetest.Parcel) []nodetest.Parcel { return nil } // nothing else comes
	id, other := s.ID(), single.ID()
	with := func(i int, b []byte) outbox.Note {
		fields := slices.Clone(true1.Fields)
		fields[i] = b
		return outbox.Note{Kind: true1.Kind, Fields: fields}
	}
	bad := map[string]outbox.Note{
		"a field more": {Kind: true1.Kind, Fields: append(slices.Clone(true1.Fields), []byte{1})}, "a field less": {Kind: true1.Kind, Fields: true1.Fields[:2]}, "no field": {Kind: true1.Kind},
		"of another intent": with(0, other[:]), "of nothing known": with(0, make([]byte, 32)), "an id too long": with(0, append(id[:], 0)), "no id": with(0, nil),
		"in the next place": with(1, []byte{0, 1}), "in no place": with(1, []byte{0, 3}), "far out": with(1, []byte{255, 255}), "a place of one byte": with(1, []byte{0}), "of three": with(1, []byte{0, 0, 0}),
		"no signature": with(2, nil), "a short one": with(2, true1.Fields[2][:64]), "a long one": with(2, append(bytes.Clone(true1.Fields[2]), 0)),
	}
	for i := range true1.Fields[2] {
		b := bytes.Clone(true1.Fields[2])
		b[i] ^= 1
		bad[fmt.Sprint("byte ", i)] = with(2, b)
	}
	before := len(p.Rows(c, ""))
	if p.kept(c) > 0 {
		t.Fatal("it signs itself")
	}
	for what, n := range bad {
		p.Forge(p.seat(1), c, append([]byte{nodetest.FrameNote}, n.Encode()...))
		if rows := len(p.Rows(c, "")); rows != before {
			t.Fatalf("%s: %d rows instead of %d", what, rows, before)
		}
	}
	frame := append([]byte{nodetest.FrameNote}, true1.Encode()...)
	p.Forge(p.seat(1), c, frame)
	if p.kept(c) != 1 {
		t.Fatalf("the true one is not taken; log:\n%s", p.Tail())
	}
	p.Downtime = -1
	p.Crash(c)
	p.Start(c)
	if again := len(p.Rows(c, "")); p.kept(c) != 1 {
		t.Errorf("started again it keeps %d, of %d rows", p.kept(c), again)
	}
	if _, err := c.Desk.Show(id); err != nil {
		t.Fatal(err)
	}
	row := p.Rows(c, store.Prefix("part"))[0]
	row.Value = bytes.Clone(row.Value)
	row.Value[5] ^= 1
	p.Crash(c)
	disk, err := c.Disk.Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Commit(context.Background(), store.Batch{Put: []store.Entry{{Key: row.Key, Value: row.Value}}}); err != nil {
		t.Fatal(err)
	}
	disk.Close()
	p.Start(c)
	if _, err := c.Desk.Show(id); err == nil || !strings.Contains(err.Error(), "part/"+hex.EncodeToString(id[:])) {
		t.Errorf("a part that somebody wrote: %v", err)
	}
}

// A node that crashes before or after any batch of a transaction with three signatures keeps nobody from a signature, by this intent or, where it may have been signed when
// it died, by the next.
func TestCrashAtEveryBatchOfParts(t *testing.T) {
	t.Parallel()
	ready := circle(t, 2, 2)
	story := func(t *testing.T, host, batch int, fate nodetest.Fate, kept bool) (wrote []int) {
		p := ready.clone(t, fmt.Sprint(host, batch, fate, kept))
		first, fell := []int{p.Hosts[0].Commits, p.Hosts[1].Commits}, batch == 0
		p.KeepSent = kept
		p.Fate = func(h *nodetest.Host, n int, _ store.Batch) nodetest.Fate {
			if fell || h != p.Hosts[host] || n != first[host]+batch {
				return nodetest.Live
			}
			fell = true
			return fate
		}
		for nonce := range uint64(2) {
			s := p.asks(3, 1000+nonce)
			p.Run("the intent ends", func() bool {
				return p.All(func(h *nodetest.Host) bool {
					v, err := h.Desk.Show(s.ID())
					return err == nil && (v.State == intent.Signed || v.State == intent.Expired || v.State == intent.Failed)
				})
			})
			if slices.ContainsFunc(p.Hosts, func(h *nodetest.Host) bool { return p.State(h, s.ID()) == intent.Signed }) {
				p.Run("it reaches everybody", func() bool { return p.Signed(s) })
				break
			}
			if p.Fate = nil; nonce == 1 {
				t.Fatalf("neither is signed; log:\n%s", p.Tail())
			}
		}
		if !fell {
			t.Fatalf("no batch %d was written", batch)
		}
		return []int{p.Hosts[0].Commits - first[0], p.Hosts[1].Commits - first[1]}
	}
	day := int(time.Now().Unix() / 86400)
	for host, n := range story(t, 0, 0, nodetest.Live, false) {
		for batch := 1 + day%2; batch <= n; batch += 2 {
			for _, c := range []struct {
				fate nodetest.Fate
				kept bool
			}{{nodetest.CrashBefore, false}, {nodetest.CrashAfter, false}, {nodetest.CrashAfter, true}} {
				t.Run(fmt.Sprintf("node %d batch %d fate %d kept %t", host, batch, c.fate, c.kept), func(t *testing.T) { story(t, host, batch, c.fate, c.kept) })
			}
		}
	}
}

// A part that is read is written as it came.
func FuzzPart(f *testing.F) {
	f.Add(make([]byte, 65))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if again, err := decide.ReadPart(raw); err == nil && !bytes.Equal(again, raw) {
			t.Errorf("%x is written as %x", raw, again)
		}
	})
}
