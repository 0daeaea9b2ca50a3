package witness_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"log/slog"
	"testing"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store/memory"
	"github.com/ostraka/ostraka/node/witness"
)

var ctx = context.Background()

func keyOf(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32))
}

func public(k crypto.Signer) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// keysOf are those of a node's log.
func keysOf(identity ed25519.PrivateKey) tlog.Keys {
	log, cosigns := tlog.Derive(identity, 0)
	id := public(identity)
	return tlog.Keys{Identity: id, Origin: tlog.Origin(id, 0), Log: public(log), Name: tlog.WitnessName(id, 0), Witness: public(cosigns)}
}

// bench is the witness of node 1, beside node 2, with witnesses outside the circle.
type bench struct {
	t     *testing.T
	j     *journal.Journal
	w     *witness.Witness
	now   time.Time
	cfg   witness.Config
	asked map[string][][]byte // requests by who was asked: "peer", or an outsider's name
	lines bytes.Buffer        // that were logged
}

func newBench(t *testing.T, outside ...tlog.Witness) *bench {
	t.Helper()
	st, err := memory.NewDisk().Open()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, now: time.Unix(1_800_000_000, 0), asked: map[string][][]byte{}}
	if b.j, err = journal.Open(ctx, st); err != nil {
		t.Fatal(err)
	}
	own, peer := keysOf(keyOf(1)), keysOf(keyOf(2))
	b.cfg = witness.Config{
		Identity: keyOf(1), Journal: b.j, Log: slog.New(slog.NewTextHandler(&b.lines, nil)), Keys: func() []tlog.Keys { return []tlog.Keys{own, peer} },
		Generation: func() uint64 { return 0 },
		Ask:        func(_ ed25519.PublicKey, request []byte) { b.asked["peer"] = append(b.asked["peer"], request) },
	}
	for _, o := range outside {
		b.cfg.Outside = append(b.cfg.Outside, witness.Outside{Witness: o, Ask: func(request []byte) { b.asked[o.Name()] = append(b.asked[o.Name()], request) }})
	}
	b.open()
	b.grow()
	return b
}

// open begins a new life over the same store.
func (b *bench) open() {
	b.t.Helper()
	var err error
	if b.w, err = witness.Open(ctx, b.cfg); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) grow() {
	b.t.Helper()
	if err := b.j.Write(ctx, journal.Entry{Leaves: []tlog.Filed{tlog.Says(tlog.KindWord, b.now, [32]byte{}, []byte("leaf"))}}); err != nil {
		b.t.Fatal(err)
	}
}

// wait lets time pass, in steps as a node's.
func (b *bench) wait(d time.Duration) {
	b.t.Helper()
	for end := b.now.Add(d); b.now.Before(end); b.now = b.now.Add(200 * time.Millisecond) {
		if err := b.w.Tick(ctx, b.now); err != nil {
			b.t.Fatal(err)
		}
	}
}

// cosign is what a witness answers to the last request that it was sent.
func (b *bench) cosign(name string, key crypto.Signer, asked string) []byte {
	b.t.Helper()
	requests := b.asked[asked]
	if len(requests) == 0 {
		b.t.Fatalf("%s was not asked", asked)
	}
	r, err := tlog.DecodeRequest(requests[len(requests)-1])
	if err != nil {
		b.t.Fatal(err)
	}
	text, _, _ := bytes.Cut(r.Checkpoint, []byte("\n\n"))
	c, err := tlog.ParseCheckpoint(append(text, '\n'))
	if err != nil {
		b.t.Fatal(err)
	}
	cosigner, err := tlog.NewCosigner(name, key)
	if err != nil {
		b.t.Fatal(err)
	}
	line, err := cosigner.Cosign(c, b.now)
	if err != nil {
		b.t.Fatal(err)
	}
	return line
}

func (b *bench) peerAnswers() {
	b.t.Helper()
	_, key := tlog.Derive(keyOf(2), 0)
	if err := b.w.Answer(ctx, public(keyOf(2)), 200, b.cosign(tlog.WitnessName(public(keyOf(2)), 0), key, "peer")); err != nil {
		b.t.Fatal(err)
	}
}

func outsider(t *testing.T, name string, key ed25519.PublicKey) tlog.Witness {
	t.Helper()
	w, err := tlog.NewWitness(name, key)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// A witness beyond the circle cosigns; the charter's demand counts operators alone.
func TestOutsidersAreNotOperators(t *testing.T) {
	b := newBench(t, outsider(t, "w.example", public(keyOf(9))))
	b.wait(time.Second)
	if err := b.w.AnswerOutside(ctx, "w.example", 200, b.cosign("w.example", keyOf(9), "w.example")); err != nil {
		t.Fatal(err)
	}
	if err := b.w.AnswerOutside(ctx, "nobody.example", 200, nil); err == nil {
		t.Error("an answer of nobody's is taken")
	}
	if n := b.w.Cosigned(1); n != 0 {
		t.Errorf("%d operators have cosigned, and only an outsider has", n)
	}
	b.peerAnswers()
	if n := b.w.Cosigned(1); n != 1 {
		t.Errorf("%d operators have cosigned", n)
	}
	b.wait(time.Second)
	if _, head, by := b.w.Checkpoint(); head.Size != 1 || len(by) != 2 {
		t.Errorf("published at %d by %v", head.Size, by)
	}
	if n := b.w.Cosigned(2); n != 0 {
		t.Errorf("%d have cosigned what is not there", n)
	}
	b.open()
	if _, head, by := b.w.Checkpoint(); head.Size != 1 || len(by) != 2 || b.w.Cosigned(1) != 1 {
		t.Errorf("after a restart: %d by %v", head.Size, by)
	}
}

// A node of the circle that the settings name as an outsider, under its own name or another, is asked once and counts once; so does our own
// key. The log's row is read back all the same.
func TestOutsidersOfTheCircle(t *testing.T) {
	own, peer := keysOf(keyOf(1)), keysOf(keyOf(2))
	for what, o := range map[string]tlog.Witness{
		"the peer":            outsider(t, peer.Name, peer.Witness),
		"under another name":  outsider(t, "w.example", peer.Witness),
		"its name, other key": outsider(t, peer.Name, public(keyOf(9))),
		"ourselves":           outsider(t, "w.example", own.Witness),
		"our log's key":       outsider(t, "w.example", own.Log),
	} {
		t.Run(what, func(t *testing.T) {
			b := newBench(t, o)
			b.wait(time.Second)
			b.peerAnswers()
			b.wait(time.Second)
			if _, _, by := b.w.Checkpoint(); len(by) != 1 || len(b.asked) != 1 || len(b.asked["peer"]) != 1 {
				t.Errorf("asked %d, cosigned by %v", len(b.asked), by)
			}
			b.open()
			if b.w.Cosigned(1) != 1 {
				t.Error("after a restart the cosignature is gone")
			}
		})
	}
}

// Who did not cosign the latest checkpoint is asked again while the log stands still, and nobody else is; a log that grows does not wait for it.
func TestAskedAgain(t *testing.T) {
	b := newBench(t, outsider(t, "w.example", public(keyOf(9))))
	b.wait(time.Second)
	b.peerAnswers()
	b.wait(9 * time.Second)
	if n := len(b.asked["w.example"]); n != 1 {
		t.Fatalf("asked %d times", n)
	}
	b.wait(2 * time.Second)
	if n, m := len(b.asked["w.example"]), len(b.asked["peer"]); n != 2 || m != 1 {
		t.Fatalf("after 10 s the one that did not answer was asked %d times, the other %d", n, m)
	}
	if err := b.w.AnswerOutside(ctx, "w.example", 200, b.cosign("w.example", keyOf(9), "w.example")); err != nil {
		t.Fatal(err)
	}
	b.wait(time.Second)
	if _, _, by := b.w.Checkpoint(); len(by) != 2 {
		t.Errorf("published by %v", by)
	}
	b.wait(time.Minute)
	if n, m := len(b.asked["w.example"]), len(b.asked["peer"]); n != 2 || m != 1 {
		t.Errorf("nothing is lacking, and they were asked %d and %d times", n, m)
	}
	b.grow()
	b.wait(3 * time.Second)
	if n, m := len(b.asked["w.example"]), len(b.asked["peer"]); n != 3 || m != 2 {
		t.Fatalf("the log grew: asked %d and %d times", n, m)
	}
	b.peerAnswers()
	b.wait(15 * time.Second) // it is being asked again
	b.grow()
	before := len(b.asked["peer"])
	b.wait(3 * time.Second)
	if len(b.asked["peer"]) != before+1 {
		t.Error("a new head waits for who did not cosign the last")
	}
}

// What is no cosignature of the witness's own over this very checkpoint counts for nothing.
func TestBadAnswers(t *testing.T) {
	for name, answer := range map[string]func(b *bench) (int, []byte){
		"nothing":           func(*bench) (int, []byte) { return 200, nil },
		"another's":         func(b *bench) (int, []byte) { return 200, b.cosign("x.example", keyOf(8), "peer") },
		"forged":            func(b *bench) (int, []byte) { return 200, b.cosign("w.example", keyOf(8), "peer") },
		"noise":             func(*bench) (int, []byte) { return 200, []byte("\u2014 w.example AAAA\n") },
		"a refusal":         func(*bench) (int, []byte) { return 404, []byte("no such log\n") },
		"no size":           func(*bench) (int, []byte) { return tlog.StatusConflict, []byte("many\n") },
		"the size as asked": func(*bench) (int, []byte) { return tlog.StatusConflict, []byte("0\n") },
		"trouble":           func(*bench) (int, []byte) { return 500, nil },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, outsider(t, "w.example", public(keyOf(9))))
			b.wait(time.Second)
			status, body := answer(b)
			if err := b.w.AnswerOutside(ctx, "w.example", status, body); err == nil {
				t.Error("it is taken")
			}
			b.wait(6 * time.Second)
			if _, head, by := b.w.Checkpoint(); head.Size != 1 || len(by) != 0 {
				t.Errorf("published at %d by %v", head.Size, by)
			}
		})
	}
}

// A witness that says another size each time is not asked without end.
func TestConflictsEnd(t *testing.T) {
	b := newBench(t, outsider(t, "w.example", public(keyOf(9))))
	b.grow()
	b.grow()
	b.wait(time.Second)
	for i := range 50 {
		_ = b.w.AnswerOutside(ctx, "w.example", tlog.StatusConflict, []byte([]string{"1\n", "2\n"}[i%2])) // it errs in the end
	}
	if n := len(b.asked["w.example"]); n != 3 {
		t.Errorf("asked %d times about one checkpoint", n)
	}
}

// history is a log by the peer's key, of so many leaves of one name.
type history struct {
	hashes []tlog.Hash
	size   int64
}

func (h *history) ReadHashes(indexes []int64) (out []tlog.Hash, err error) {
	for _, i := range indexes {
		out = append(out, h.hashes[i])
	}
	return out, nil
}

func (h *history) grow(t *testing.T, name string, n int) {
	t.Helper()
	for range n {
		_, fresh, err := tlog.Append(h.size, []byte(name), h)
		if err != nil {
			t.Fatal(err)
		}
		h.hashes, h.size = append(h.hashes, fresh...), h.size+1
	}
}

// ask is a request of the peer's for a cosignature of its log, as it is told here to be known with so many leaves.
func (h *history) ask(t *testing.T, old int64) tlog.Request {
	t.Helper()
	log, _ := tlog.Derive(keyOf(2), 0)
	signer, err := tlog.NewLogSigner(tlog.Origin(public(keyOf(2)), 0), log)
	if err != nil {
		t.Fatal(err)
	}
	head, err := tlog.Root(h.size, h)
	r := tlog.Request{Old: old}
	if err == nil {
		r.Checkpoint, err = tlog.Checkpoint{Origin: signer.Verifier().Name(), Head: head}.Sign(signer)
	}
	if err == nil && old <= h.size {
		r.Proof, err = tlog.ProveConsistency(old, h.size, h)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (b *bench) alarms() (n int) {
	b.t.Helper()
	head, err := b.j.Head(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := range head.Size {
		l, err := b.j.Leaf(ctx, i)
		if err != nil {
			b.t.Fatal(err)
		}
		if l.Kind == tlog.KindAlarm {
			n++
		}
	}
	return n
}

// A log whose own node shows another history at a larger size is suspected, and both checkpoints are kept: once, over a restart too, and without an accusation. By
// anybody else's request, which a wrong proof of an honest log's checkpoint may be, nobody is.
func TestSuspicions(t *testing.T) {
	b := newBench(t)
	var one, other history
	one.grow(t, "one", 5)
	other.grow(t, "other", 9)
	if status, _, answer := b.w.Cosign(ctx, b.now, public(keyOf(2)), one.ask(t, 0).Encode()); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	known := one.ask(t, 0).Checkpoint
	bad := other.ask(t, 5)
	for name, from := range map[string]ed25519.PublicKey{"a stranger": nil, "another node": public(keyOf(3)), "ourselves": public(keyOf(1))} {
		if status, _, _ := b.w.Cosign(ctx, b.now, from, bad.Encode()); status != tlog.StatusInconsistent || len(b.w.Suspicions()) != 0 || b.alarms() != 0 {
			t.Errorf("by %s's request: status %d, %d suspicions", name, status, len(b.w.Suspicions()))
		}
	}
	for range 3 {
		if status, _, _ := b.w.Cosign(ctx, b.now, public(keyOf(2)), bad.Encode()); status != tlog.StatusInconsistent {
			t.Errorf("status %d", status)
		}
	}
	b.open()
	b.w.Cosign(ctx, b.now, public(keyOf(2)), bad.Encode())
	all := b.w.Suspicions()
	if len(all) != 1 || b.alarms() != 1 || len(b.w.Forks()) != 0 {
		t.Fatalf("%d suspicions, %d alarms, %d forks", len(all), b.alarms(), len(b.w.Forks()))
	}
	if s := all[0]; !bytes.Equal(s.Known, known) || !bytes.Equal(s.Shown, bad.Checkpoint) || s.Origin() != keysOf(keyOf(2)).Origin {
		t.Errorf("%s\n%s", s.Known, s.Shown)
	}
	// It goes on from what was cosigned, and that is as good as before.
	one.grow(t, "one", 1)
	if status, _, answer := b.w.Cosign(ctx, b.now, public(keyOf(2)), one.ask(t, 5).Encode()); status != 200 {
		t.Errorf("%d %s", status, answer)
	}
}

// What anybody can bring about, an older checkpoint sent again and again, fills no log.
func TestLinesOfRefusals(t *testing.T) {
	b := newBench(t)
	var one history
	one.grow(t, "one", 3)
	older := one.ask(t, 0)
	one.grow(t, "one", 3)
	if status, _, _ := b.w.Cosign(ctx, b.now, nil, one.ask(t, 0).Encode()); status != 200 {
		t.Fatal(status)
	}
	lines := func() int { return bytes.Count(b.lines.Bytes(), []byte("an older checkpoint")) }
	for range 1000 {
		b.w.Cosign(ctx, b.now, nil, older.Encode())
	}
	if lines() != 1 {
		t.Errorf("%d lines of a thousand requests", lines())
	}
	b.now = b.now.Add(time.Minute)
	b.w.Cosign(ctx, b.now, nil, older.Encode())
	if lines() != 2 || !bytes.Contains(b.lines.Bytes(), []byte("unsaid=999")) {
		t.Errorf("%d lines after a minute:\n%.600s", lines(), b.lines.String())
	}
	b.now = b.now.Add(-time.Hour) // a clock that is set back silences nobody
	if b.w.Cosign(ctx, b.now, nil, older.Encode()); lines() != 3 {
		t.Errorf("%d lines after the clock was set back", lines())
	}
}

// Where two logs' keys have one in common, the later announced is left out; our own checkpoint is read back whatever was announced since, and a node starts.
func TestDoubledKeysStopNobody(t *testing.T) {
	own, peer := keysOf(keyOf(1)), keysOf(keyOf(2))
	for what, change := range map[string]func(k *tlog.Keys){
		"our log key":      func(k *tlog.Keys) { k.Witness = own.Log },
		"our witness key":  func(k *tlog.Keys) { k.Witness = own.Witness },
		"a peer's":         func(k *tlog.Keys) { k.Witness = peer.Witness },
		"a peer's name":    func(k *tlog.Keys) { k.Name = peer.Name },
		"a peer's log key": func(k *tlog.Keys) { k.Witness = peer.Log },
	} {
		t.Run(what, func(t *testing.T) {
			b := newBench(t)
			b.wait(time.Second)
			b.peerAnswers()
			b.wait(time.Second)
			liar := keysOf(keyOf(3))
			change(&liar)
			b.cfg.Keys = func() []tlog.Keys { return []tlog.Keys{own, peer, liar} }
			b.open()
			if _, _, by := b.w.Checkpoint(); len(by) != 1 || b.w.Cosigned(1) != 1 {
				t.Errorf("after a restart cosigned by %v", by)
			}
			b.cfg.Keys = func() []tlog.Keys { return []tlog.Keys{own, liar, peer} } // in whatever order
			b.open()
			b.grow()
			b.wait(time.Second)
			if _, head, _ := b.w.Checkpoint(); head.Size == 0 {
				t.Error("the checkpoint is gone")
			}
		})
	}
}
