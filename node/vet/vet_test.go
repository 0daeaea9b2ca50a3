package vet_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/attest/hardware"
	"github.com/ostraka/ostraka/evidence/judge"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/vetted"
	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
	"github.com/ostraka/ostraka/node/vet"
)

var update = flag.Bool("update", false, "write testdata anew")

const fresh = 6 * time.Hour

// A node is one of a circle of three whose rooms are this one alone.
type node struct {
	*vet.Vet
	*circle
	name    string
	id      engine.PartyID
	key     ed25519.PublicKey
	life    vetted.Life
	tpm     *nodetest.TPM
	real    vet.Maker // in its place
	given   []*x509.Certificate
	held    func() (hardware.Collateral, error)
	journal *journal.Journal
	disk    *memory.Disk
}

type frame struct {
	from, to *node
	kind     vet.Frame
	body     []byte
}

type circle struct {
	*testing.T
	now    time.Time
	maker  *nodetest.Maker
	demand map[string]charter.Demand
	ids    byte
	all    []*node
	queue  []frame
	down   map[string]bool
	links  int             // raised, and all connections were broken and made anew
	old    map[string]bool // speaks an older wire version
	log    bytes.Buffer
	woken  int
	pass   func(frame) []frame // what arrives in a frame's place; nil: itself
}

func newCircle(t *testing.T) *circle {
	c := &circle{T: t, now: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC), demand: map[string]charter.Demand{}, down: map[string]bool{}, old: map[string]bool{}}
	c.maker = nodetest.NewMaker(t, "a maker", c.now)
	for _, name := range []string{"acme", "bolt", "cora"} {
		seed := sha256.Sum256([]byte(name))
		n := &node{circle: c, name: name, key: ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey), life: vetted.Life{Counter: 1, Instance: [16]byte{byte(len(c.all) + 1)}}}
		n.id, n.tpm = mpc.IDOf(n.key), c.maker.TPM(t, name, "release 1")
		c.all = append(c.all, n)
	}
	c.demands("bolt", c.maker.Allows("bolt", fresh, c.all[1].tpm.Measurement()))
	for _, n := range c.all {
		n.disk = memory.NewDisk()
		st, err := n.disk.Open()
		if err == nil {
			n.journal, err = journal.Open(context.Background(), st)
		}
		if err != nil {
			t.Fatal(err)
		}
		n.start()
	}
	return c
}

// demands is an amendment.
func (c *circle) demands(operator string, x charter.Demand) {
	c.demand[operator], c.ids = x, c.ids+1
}

func (c *circle) find(id engine.PartyID) *node {
	for _, n := range c.all {
		if n.id == id {
			return n
		}
	}
	return nil
}

// conn names the connection between two; zeros: there is none.
func (c *circle) conn(a, b *node) [32]byte {
	if c.down[a.name] || c.down[b.name] {
		return [32]byte{}
	}
	if a.name > b.name {
		a, b = b, a
	}
	return sha256.Sum256([]byte(fmt.Sprint(a.name, b.name, c.links)))
}

// start opens the room, as after a restart of the same process's store.
func (n *node) start() {
	n.Helper()
	var others []engine.PartyID
	for _, o := range n.all {
		if o != n {
			others = append(others, o.id)
		}
	}
	var maker vet.Maker
	if n.tpm != nil {
		maker = n.tpm
	}
	if n.real != nil {
		maker = n.real
	}
	var err error
	n.Vet, err = vet.Open(context.Background(), n.now, vet.Config{
		Operator: n.name, Identity: n.key, Journal: n.journal, Rand: nodetest.NewEntropy(n.name), Log: slog.New(slog.NewTextHandler(&n.log, nil)), Maker: maker, Given: vet.Means{Certificates: n.given, Held: n.held},
		Charter: func() (charter.Charter, bool) {
			x := charter.Charter{ID: statement.ID{n.ids}}
			for _, d := range n.demand {
				x.Demands = append(x.Demands, d)
			}
			return x, true
		},
		Peers: func() []engine.PartyID { return others },
		Peer: func(id engine.PartyID) (charter.Operator, bool) {
			o := n.find(id)
			return charter.Operator{Name: o.name, Identity: o.key}, true
		},
		Life: func(id engine.PartyID) (vetted.Life, bool) { return n.find(id).life, true }, Own: func() vetted.Life { return n.life },
		Connection: func(id engine.PartyID) [32]byte { return n.conn(n, n.find(id)) },
		Linked:     func(id engine.PartyID) bool { return !n.down[n.find(id).name] }, Speaks: func(id engine.PartyID) bool { return !n.old[n.find(id).name] },
		Send: func(to engine.PartyID, kind vet.Frame, body []byte) {
			n.queue = append(n.queue, frame{n, n.find(to), kind, bytes.Clone(body)})
		},
		Wake: func() { n.woken++ },
	})
	if err != nil {
		n.Fatal(err)
	}
}

// run lets time pass, and what is sent arrive.
func (c *circle) run(d time.Duration) (errs []error) {
	c.Helper()
	c.now = c.now.Add(d)
	for _, n := range c.all {
		if err := n.Tick(context.Background(), c.now); err != nil {
			c.Fatal(err)
		}
	}
	for len(c.queue) > 0 {
		f := c.queue[0]
		c.queue = c.queue[1:]
		arrive := []frame{f}
		if c.pass != nil {
			arrive = c.pass(f)
		}
		for _, f := range arrive {
			if err := f.to.Take(context.Background(), c.now, f.from.id, f.kind, f.body); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errs
}

// leaves are what a node's log tells of another's hardware.
func (n *node) leaves() (out []vetted.Record) {
	n.Helper()
	head, err := n.journal.Head(context.Background())
	for i := int64(0); err == nil && i < head.Size; i++ {
		var f tlog.Filed
		if f, err = n.journal.Leaf(context.Background(), i); err == nil && f.Kind == tlog.KindVetted {
			var r vetted.Record
			r, err = vetted.Decode(f.Content)
			out = append(out, r)
		}
	}
	if err != nil {
		n.Fatal(err)
	}
	return out
}

func answer(nonce, body []byte, why string) []byte {
	var e transcript.Encoder
	return e.Bytes(1, nonce).Bytes(2, body).String(3, why).Sum()
}

func read(t *testing.T, b []byte) (nonce, body []byte) {
	t.Helper()
	d := transcript.NewDecoder(b)
	return d.Fixed(1, 32), d.Bytes(2, 1<<20)
}

// question is a frame that asks over the connection that stands.
func (c *circle) question(from, to *node, nonce byte) []byte {
	conn := c.conn(from, to)
	return append(bytes.Repeat([]byte{nonce}, 32), conn[:]...)
}

func (c *circle) evidence(n *node, s vetted.Subject) []byte {
	c.Helper()
	b, err := n.tpm.Evidence(context.Background(), judge.Binding(s))
	if err != nil {
		c.Fatal(err)
	}
	return b
}

// What a hostile node sends in the place of what it was asked for, and what comes of it: no session, in every case.
func TestHostileNodes(t *testing.T) {
	for name, c := range map[string]struct {
		evidence func(c *circle, nonce, honest []byte) []byte // sent in the place of evidence; nil: the honest
		enrolled func(c *circle, nonce, honest []byte) []byte
		want     string // of why no session is held
		err      string // of the frame that is dropped
	}{
		"another's machine": {evidence: func(c *circle, nonce, _ []byte) []byte {
			o := c.all[2]
			return answer(nonce, c.evidence(o, vetted.Subject{Identity: o.key, Life: o.life, Asker: c.all[0].key, Nonce: [32]byte(nonce), Connection: c.conn(c.all[0], c.all[1])}), "")
		}, want: "qualifying data are not of this node and this nonce"},
		"an old nonce": {evidence: func(c *circle, nonce, _ []byte) []byte {
			return answer(nonce, c.evidence(c.all[1], vetted.Subject{Identity: c.all[1].key, Life: c.all[1].life, Asker: c.all[0].key, Nonce: [32]byte{1}, Connection: c.conn(c.all[0], c.all[1])}), "")
		}, want: "qualifying data"},
		"another asker's": {evidence: func(c *circle, nonce, _ []byte) []byte {
			return answer(nonce, c.evidence(c.all[1], vetted.Subject{Identity: c.all[1].key, Life: c.all[1].life, Asker: c.all[2].key, Nonce: [32]byte(nonce), Connection: c.conn(c.all[0], c.all[1])}), "")
		}, want: "qualifying data"},
		"of a process before": {evidence: func(c *circle, nonce, _ []byte) []byte {
			return answer(nonce, c.evidence(c.all[1], vetted.Subject{Identity: c.all[1].key, Life: vetted.Life{Counter: 1, Instance: [16]byte{99}}, Asker: c.all[0].key, Nonce: [32]byte(nonce), Connection: c.conn(c.all[0], c.all[1])}), "")
		}, want: "qualifying data"},
		"of a clone": {evidence: func(c *circle, nonce, _ []byte) []byte { // its own process, its own TPM, our node's key
			c.all[1].tpm = c.maker.TPM(c.T, "a clone's", "release 1")
			return answer(nonce, c.evidence(c.all[1], vetted.Subject{Identity: c.all[1].key, Life: vetted.Life{Counter: 1, Instance: [16]byte{98}}, Asker: c.all[0].key, Nonce: [32]byte(nonce), Connection: c.conn(c.all[0], c.all[1])}), "")
		}, want: "qualifying data"},
		"for another connection": {evidence: func(c *circle, nonce, _ []byte) []byte {
			return answer(nonce, c.evidence(c.all[1], vetted.Subject{Identity: c.all[1].key, Life: c.all[1].life, Asker: c.all[0].key, Nonce: [32]byte(nonce), Connection: [32]byte{77}}), "")
		}, want: "qualifying data"},
		"another program": {evidence: func(c *circle, nonce, _ []byte) []byte {
			c.all[1].tpm = c.maker.TPM(c.T, "bolt", "a thief's")
			return answer(nonce, c.evidence(c.all[1], vetted.Subject{Identity: c.all[1].key, Life: c.all[1].life, Asker: c.all[0].key, Nonce: [32]byte(nonce), Connection: c.conn(c.all[0], c.all[1])}), "")
		}, want: "which is none that the charter allows"},
		"a maker that nobody knows": {evidence: func(c *circle, nonce, _ []byte) []byte {
			c.all[1].tpm = nodetest.NewMaker(c.T, "a garage", c.now).TPM(c.T, "bolt", "release 1")
			return answer(nonce, c.evidence(c.all[1], vetted.Subject{Identity: c.all[1].key, Life: c.all[1].life, Asker: c.all[0].key, Nonce: [32]byte(nonce), Connection: c.conn(c.all[0], c.all[1])}), "")
		}, want: "certificate"},
		"a genuine certificate, and keys without a TPM": {evidence: func(c *circle, nonce, _ []byte) []byte {
			mine := c.maker.TPM(c.T, "a program's", "release 1")
			c.all[1].tpm = c.all[1].tpm.WithKeys(mine)
			return answer(nonce, c.evidence(c.all[1], vetted.Subject{Identity: c.all[1].key, Life: c.all[1].life, Asker: c.all[0].key, Nonce: [32]byte(nonce), Connection: c.conn(c.all[0], c.all[1])}), "")
		}, enrolled: func(c *circle, nonce, _ []byte) []byte { return answer(nonce, make([]byte, 32), "") }, want: "does not lie in the TPM"},
		"junk":       {evidence: func(_ *circle, nonce, _ []byte) []byte { return answer(nonce, []byte("junk"), "") }, want: "evidence of hardware"},
		"nothing":    {evidence: func(_ *circle, nonce, _ []byte) []byte { return answer(nonce, nil, "I will not") }, want: "its node shows nothing: I will not"},
		"huge":       {evidence: func(_ *circle, nonce, _ []byte) []byte { return answer(nonce, make([]byte, vetted.MaxEvidence+1), "") }, want: "no evidence", err: "field 2"},
		"two things": {evidence: func(_ *circle, nonce, _ []byte) []byte { return answer(nonce, []byte{1}, "both") }, want: "no evidence", err: "field 3"},
		"a flipped bit of the quote": {evidence: func(c *circle, nonce, honest []byte) []byte {
			_, body := read(c.T, honest)
			body = bytes.Clone(body)
			body[bytes.Index(body, []byte("\xffTCG"))+40] ^= 1
			return answer(nonce, body, "")
		}, want: "signature"},
		"a nonce that was not asked": {evidence: func(_ *circle, _, honest []byte) []byte {
			b := bytes.Clone(honest)
			b[10] ^= 1
			return b
		}, want: "no evidence", err: "is to no open question"},
		"a secret that it guessed":          {enrolled: func(_ *circle, nonce, _ []byte) []byte { return answer(nonce, make([]byte, 32), "") }, want: "does not lie in the TPM"},
		"a secret of another length":        {enrolled: func(_ *circle, nonce, _ []byte) []byte { return answer(nonce, make([]byte, 31), "") }, want: "does not lie in the TPM"},
		"a TPM that opens nothing":          {enrolled: func(_ *circle, nonce, _ []byte) []byte { return answer(nonce, nil, "TPM_RC_FAILURE") }, want: "TPM_RC_FAILURE"},
		"evidence instead of what it hides": {enrolled: func(_ *circle, nonce, _ []byte) []byte { return answer(nonce, make([]byte, 1000), "") }, want: "no evidence", err: "field 2"},
	} {
		t.Run(name, func(t *testing.T) {
			x := newCircle(t)
			acme, bolt := x.all[0], x.all[1]
			x.pass = func(f frame) []frame {
				if f.from != bolt || f.to != acme {
					return []frame{f}
				}
				nonce, _ := read(t, append(bytes.Clone(f.body), make([]byte, 64)...))
				switch {
				case f.kind == vet.FrameEvidence && c.evidence != nil:
					f.body = c.evidence(x, nonce, f.body)
				case f.kind == vet.FrameEnrolled && c.enrolled != nil:
					f.body = c.enrolled(x, nonce, f.body)
				}
				return []frame{f}
			}
			errs := x.run(0)
			err := acme.Fit(bolt.id)
			if err == nil || !strings.Contains(err.Error(), "operator bolt must show what its node runs on") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("it counts as %v, want %q", err, c.want)
			}
			if (c.err != "") != (len(errs) > 0) || c.err != "" && !strings.Contains(errors.Join(errs...).Error(), c.err) {
				t.Errorf("frames dropped: %v, want %q", errs, c.err)
			}
			for _, r := range acme.leaves() {
				if r.Why == "" {
					t.Errorf("its log holds it good: %+v", r)
				}
			}
			if m, err := acme.Meet(x.now, [32]byte{5}, [32]byte{}, []engine.PartyID{bolt.id}); m != nil || err == nil {
				t.Errorf("a session rests on %+v, %v", m, err)
			}
			if acme.Fit(x.all[2].id) != nil {
				t.Error("who must show nothing is held to account")
			}
		})
	}
}

// Once it was shown, evidence counts for its process, demand and time, over restarts of who judged it; an answer counts once.
func TestWhatCounts(t *testing.T) {
	x := newCircle(t)
	acme, bolt := x.all[0], x.all[1]
	var replay []frame
	x.pass = func(f frame) []frame {
		if f.kind == vet.FrameEvidence || f.kind == vet.FrameEnrolled {
			replay = append(replay, f)
		}
		return []frame{f}
	}
	if errs := x.run(0); len(errs) > 0 || acme.Fit(bolt.id) != nil {
		t.Fatalf("%v, %v", errs, acme.Fit(bolt.id))
	}
	if r := acme.leaves(); len(r) != 1 || !r[0].Shown || r[0].Name != "r1" || judge.Again(r[0], x.demand["bolt"], pinned(t), nil) != nil {
		t.Errorf("its log tells %+v", r)
	}
	for _, f := range replay {
		if err := f.to.Take(context.Background(), x.now, f.from.id, f.kind, f.body); err == nil {
			t.Errorf("frame %d counts a second time", f.kind)
		}
	}
	if m, err := acme.Meet(x.now, [32]byte{5}, [32]byte{}, []engine.PartyID{bolt.id, x.all[2].id}); err != nil || len(m.With) != 2 || m.With[0].Record == [32]byte{} || m.With[1].Record != [32]byte{} {
		t.Errorf("a session rests on %+v, %v", m, err)
	}
	acme.start()
	if err := acme.Fit(bolt.id); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	x.pass = func(f frame) []frame { return nil } // nothing arrives any more
	for _, c := range []struct {
		what string
		do   func()
		want error
	}{
		{"a new process", func() { bolt.life.Counter++ }, vetted.ErrLife},
		{"back", func() { bolt.life.Counter-- }, nil},
		{"an amendment", func() { x.demands("bolt", x.maker.Allows("bolt", fresh+time.Hour, bolt.tpm.Measurement())) }, vetted.ErrDemand},
		{"back", func() { x.demands("bolt", x.maker.Allows("bolt", fresh, bolt.tpm.Measurement())) }, nil},
		{"too old", func() { x.run(fresh) }, vetted.ErrStale},
	} {
		c.do()
		x.run(0)
		_, err := acme.Meet(x.now, [32]byte{6}, [32]byte{}, []engine.PartyID{bolt.id})
		if (err == nil) != (c.want == nil) || c.want != nil && !strings.Contains(err.Error(), c.want.Error()) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
	x.pass = nil
	x.links++
	if x.run(time.Second); acme.Fit(bolt.id) != nil {
		t.Errorf("asked again: %v", acme.Fit(bolt.id))
	}
	if bolt.tpm.Opened != 2 {
		t.Errorf("its TPM opened %d challenges: two others asked, and each remembers its keys", bolt.tpm.Opened)
	}
	x.old["bolt"] = true
	bolt.life.Counter++
	if err := acme.Fit(bolt.id); err == nil || !strings.Contains(err.Error(), "older wire version") {
		t.Errorf("of an older version: %v", err)
	}
	// One of an older version asks nobody for anything: that it does not say so keeps nobody from sessions with it.
	x.old["cora"] = true
	if err := bolt.Welcome(x.all[2].id); err != nil {
		t.Errorf("at a node of an older version: %v", err)
	}
}

// A refusal that could not be made durable is, as soon as the store takes it, whether its peer says another word or not: what it showed before would count after a restart.
func TestRefusalIsMadeDurable(t *testing.T) {
	x := newCircle(t)
	acme, bolt := x.all[0], x.all[1]
	if errs := x.run(0); len(errs) > 0 || acme.Fit(bolt.id) != nil {
		t.Fatalf("%v, %v", errs, acme.Fit(bolt.id))
	}
	acme.disk.SetFault(func(store.Batch) memory.Outcome { return memory.Full })
	bolt.tpm = x.maker.TPM(t, "bolt", "another release")
	bolt.start()
	errs := x.run(fresh*2/3 + time.Second)
	if err := errors.Join(errs...); err == nil || !strings.Contains(err.Error(), "keep that the evidence of bolt was refused") || len(acme.leaves()) != 1 {
		t.Fatalf("%v, %d records", err, len(acme.leaves()))
	}
	x.down["bolt"] = true
	acme.disk.SetFault(nil)
	for range 3 {
		x.run(time.Second)
	}
	if r := acme.leaves(); len(r) != 2 || !strings.Contains(r[1].Why, "none that the charter allows") {
		t.Errorf("its log tells %+v", r)
	}
	acme.start()
	if err := acme.Fit(bolt.id); err == nil {
		t.Error("after a restart what was refused counts again")
	}
}

// Nobody makes a node work without end: questions, challenges and records are bounded.
func TestFloods(t *testing.T) {
	x := newCircle(t)
	acme, bolt, cora := x.all[0], x.all[1], x.all[2]
	x.run(0)
	made, opened := bolt.tpm.Made, bolt.tpm.Opened
	take := func(from, to *node, kind vet.Frame, body []byte) error {
		return to.Take(context.Background(), x.now, from.id, kind, body)
	}
	x.now = x.now.Add(time.Minute)
	ask := func(i int) {
		if err := take(cora, bolt, vet.FrameAsk, x.question(cora, bolt, byte(i))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		ask(i)
	}
	if bolt.tpm.Made != made+4 {
		t.Errorf("100 questions at once made %d pieces of evidence", bolt.tpm.Made-made)
	}
	// The last of them is answered when it is time, and none between.
	var answered []byte
	x.pass = func(f frame) []frame {
		if f.kind == vet.FrameEvidence && f.from == bolt {
			nonce, _ := read(t, append(bytes.Clone(f.body), make([]byte, 64)...))
			answered = append(answered, nonce[0])
			return nil
		}
		return []frame{f}
	}
	for _, want := range [][]byte{{0, 1, 2, 3}, {0, 1, 2, 3, 99}, {0, 1, 2, 3, 99}} {
		if x.run(4 * time.Second); !bytes.Equal(answered, want) {
			t.Errorf("answered are %d, want %d", answered, want)
		}
	}
	x.pass = nil
	var e transcript.Encoder
	for i := range 100 {
		e = transcript.Encoder{}
		err := take(cora, bolt, vet.FrameEnrol, e.Bytes(1, bytes.Repeat([]byte{99}, 32)).Bytes(2, []byte("junk")).Sum())
		if (err == nil) != (i == 0) {
			t.Fatalf("challenge %d: %v", i, err)
		}
	}
	if bolt.tpm.Opened != opened+1 {
		t.Errorf("its TPM was bothered %d times", bolt.tpm.Opened-opened)
	}
	for kind, body := range map[vet.Frame][]byte{vet.FrameAsk: make([]byte, 63), vet.FrameEnrol: nil, vet.FrameStanding: {1}, vet.FrameEvidence: make([]byte, 9), vet.FrameEnrolled: nil, 77: nil} {
		if err := take(cora, bolt, kind, body); err == nil {
			t.Errorf("frame %d of %d bytes is taken", kind, len(body))
		}
	}
	// What a peer says of our evidence is told on at a pace, the last of it for certain.
	x.run(time.Minute)
	said := func(from, to *node, good uint64, why string) {
		e = transcript.Encoder{}
		if err := take(from, to, vet.FrameStanding, e.Uint(1, good).String(2, why).Sum()); err != nil {
			t.Fatal(err)
		}
	}
	woken, written := x.woken, strings.Count(x.log.String(), "\n")
	for i := range 1000 {
		said(cora, bolt, uint64(i%2), strings.Repeat("no", (i+1)%2)+strings.Repeat(fmt.Sprint(i), (i+1)%2))
		said(bolt, acme, 0, fmt.Sprint("no ", i)) // of whom nothing is demanded
	}
	said(cora, bolt, 0, "at last")
	if err := bolt.Welcome(cora.id); err == nil || !strings.Contains(err.Error(), "at last") {
		t.Errorf("what it said last is not what counts: %v", err)
	}
	if n := strings.Count(x.log.String(), "\n") - written; n > 1 || x.woken-woken > 1 {
		t.Errorf("2001 frames on whether evidence is held good wrote %d lines and woke nodes %d times", n, x.woken-woken)
	}
	if x.run(5 * time.Second); strings.Count(x.log.String(), "at last") != 1 {
		t.Error("what it said last was not written down")
	}
	// A peer that starts again and again fills nobody's log.
	before := len(acme.leaves())
	full := 0
	for range 250 {
		bolt.life.Counter++
		x.run(11 * time.Second)
		if err := acme.Fit(bolt.id); err != nil && strings.Contains(err.Error(), "fill this node's log") {
			full++
		}
	}
	all := acme.leaves()[before:]
	size := 0
	for _, r := range all {
		size += max(len(r.Encode()), 4<<10)
	}
	if size > (8+5)*vetted.MaxEvidence || len(all) < 128 || full == 0 || len(all)+full != 250 {
		t.Errorf("250 starts in 46 minutes wrote %d records, %d bytes, and %d were too many", len(all), size, full)
	}
	for range 70 {
		x.run(10 * time.Second)
	}
	if err := acme.Fit(bolt.id); err != nil {
		t.Errorf("once it is calm: %v", err)
	}
}

// A node without hardware, and one that was refused, are told so by those who asked.
func TestWhoCannotShowIsTold(t *testing.T) {
	x := newCircle(t)
	acme, bolt := x.all[0], x.all[1]
	bolt.tpm = nil
	bolt.start()
	x.run(0)
	x.run(time.Second)
	if err := acme.Fit(bolt.id); err == nil || !strings.Contains(err.Error(), "its settings name no hardware") {
		t.Errorf("%v", err)
	}
	if err := bolt.Welcome(acme.id); err == nil || !strings.Contains(err.Error(), "its settings name no hardware") {
		t.Errorf("it is told %v", err)
	}
	if err := acme.Welcome(bolt.id); err != nil {
		t.Errorf("who must show nothing is told %v", err)
	}
	shown := bolt.Shown(x.now)
	if len(shown) != 3 || !shown[1].Own || shown[1].Err == nil || shown[0].Refuses == "" || shown[2].Demanded {
		t.Errorf("doctor shows %+v", shown)
	}
	// It says so, and so do its peers, until it has a machine that shows it.
	bolt.tpm = x.maker.TPM(t, "bolt", "release 1")
	bolt.start()
	bolt.life.Counter++
	x.run(time.Second)
	if err := errors.Join(acme.Fit(bolt.id), bolt.Welcome(acme.id)); err != nil {
		t.Error(err)
	}
	if own, err := bolt.Self(); err != nil || own.Measurement != bolt.tpm.Measurement() {
		t.Errorf("its operator is shown %+v, %v", own, err)
	}
}

func TestFrames(t *testing.T) {
	x := newCircle(t)
	var all []string
	names := map[vet.Frame]string{vet.FrameAsk: "ask", vet.FrameEvidence: "evidence", vet.FrameEnrol: "enrol", vet.FrameEnrolled: "enrolled", vet.FrameStanding: "standing"}
	x.pass = func(f frame) []frame {
		if f.from.name != "cora" && f.to.name != "cora" {
			sum := sha256.Sum256(f.body)
			text := hex.EncodeToString(f.body)
			if len(f.body) > 200 { // what was encrypted for the occasion, and what is signed: its form has snapshots of its own
				text = hex.EncodeToString(f.body[:48]) + "… " + hex.EncodeToString(sum[:8])
			}
			all = append(all, f.from.name+" "+names[f.kind]+" "+text)
		}
		return []frame{f}
	}
	x.run(0)
	text := strings.Join(all, "\n") + "\n"
	file := filepath.Join("testdata", "frames.txt")
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || string(want) != text {
		t.Errorf("frames are\n%swant\n%s%v", text, want, err)
	}
}
