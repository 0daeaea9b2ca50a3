package tlog

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"testing"
)

// ask is a log's honest request to grow from one size to another.
func ask(t testing.TB, f *forest, old, size int64) Request {
	t.Helper()
	proof, err := ProveConsistency(old, size, f.reader())
	if err != nil {
		t.Fatal(err)
	}
	return Request{old, proof, checkpoint(t, f.head(t, size))}
}

func seen(t testing.TB, f *forest, size int64) Seen {
	t.Helper()
	h := f.head(t, size)
	return Seen{h, checkpoint(t, h)}
}

func TestHonestLog(t *testing.T) {
	f, log := plant(t, 40), logSigner(t).Verifier()
	var last Seen
	for _, size := range []int64{0, 0, 1, 1, 7, 8, 40, 40} {
		r, err := DecodeRequest(ask(t, f, last.Head.Size, size).Encode())
		if err != nil {
			t.Fatal(err)
		}
		// What other signatures the log sends along is not kept.
		r.Checkpoint = cosign(t, r.Checkpoint, cosigner(t, 3), 1)
		next, c, err := Judge(log, last, r)
		want := f.head(t, size)
		if err != nil || next.Head != want || c.Head != want || !bytes.Equal(next.Signed, checkpoint(t, want)) {
			t.Fatalf("from %d to %d: %+v, %v", last.Head.Size, size, next, err)
		}
		last = next
	}
}

func TestRefusals(t *testing.T) {
	f, forged, log := plant(t, 40), plant(t, 41), logSigner(t).Verifier()
	last := seen(t, f, 20)
	unsigned := ask(t, f, 20, 30)
	unsigned.Checkpoint = []byte(strings.Replace(string(unsigned.Checkpoint), "\n30\n", "\n31\n", 1))
	unknown := ask(t, f, 20, 30)
	unknown.Checkpoint = []byte("x" + string(unknown.Checkpoint))
	stranger := ask(t, f, 20, 30)
	n, err := splitNote(stranger.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewLogVerifier(origin, public(9))
	if err != nil {
		t.Fatal(err)
	}
	stranger.Checkpoint = slices.Concat(n.body, []byte("\n"), other.line(ed25519.Sign(private(9), n.body)))
	malformed := Request{20, nil, signText(t, origin+"\n030\n"+Hash{1}.String()+"\n")}
	empty := Request{0, nil, signText(t, origin+"\n0\n"+Hash{1}.String()+"\n")}
	shortProof, noProof := ask(t, f, 20, 30), ask(t, f, 20, 30)
	shortProof.Proof, noProof.Proof = shortProof.Proof[1:], nil
	fromNothing := ask(t, f, 0, 20)
	fromNothing.Proof = []Hash{{}}
	for name, c := range map[string]struct {
		last   Seen
		r      Request
		status int
	}{
		"another log":                {last, unknown, 404},
		"no checkpoint":              {last, Request{20, nil, nil}, 404},
		"text changed":               {last, unsigned, 403},
		"another key":                {last, stranger, 403},
		"size with a leading zero":   {last, malformed, 400},
		"not even a note":            {last, Request{20, nil, []byte(origin + "\n")}, 400},
		"empty tree, another root":   {Seen{}, empty, 422},
		"old above the checkpoint's": {last, ask2(t, f, 31, 30), 400},
		"old above, and known":       {last, ask2(t, f, 20, 10), 400},
		"old below the known":        {last, ask(t, f, 10, 30), 409},
		"old above the known":        {last, ask(t, f, 25, 30), 409},
		"old 0, to learn the known":  {last, ask(t, f, 0, 30), 409},
		"old is not 0, none known":   {Seen{}, ask(t, f, 20, 30), 409},
		"set back":                   {last, ask(t, f, 10, 15), 409},
		"proof too short":            {last, shortProof, 422},
		"no proof":                   {last, noProof, 422},
		"proof from nothing":         {Seen{}, fromNothing, 422},
		"another history":            {last, ask(t, forged, 20, 30), 422},
		"another history, same size": {last, ask(t, forged, 20, 20), 422},
		"proof to the same size":     {last, Request{20, make([]Hash, 1), checkpoint(t, last.Head)}, 422},
	} {
		next, _, err := Judge(log, c.last, c.r)
		var no *Refusal
		if !errors.As(err, &no) || no.Status != c.status || no.Known != c.last.Head.Size || next.Signed != nil {
			t.Errorf("%s: %+v, %v, want %d", name, next, err, c.status)
			continue
		}
		kind, body := no.Body()
		known, err := ParseConflict(body)
		if conflict := no.Status == 409; conflict != (kind == ConflictType) || conflict && (err != nil || known != c.last.Head.Size) {
			t.Errorf("%s: %s, %q", name, kind, body)
		}
	}
}

// ask2 is a request whose old size no proof can be of.
func ask2(t testing.TB, f *forest, old, size int64) Request {
	t.Helper()
	return Request{old, nil, checkpoint(t, f.head(t, size))}
}

// signText is a note of any text, signed by the log.
func signText(t testing.TB, text string) []byte {
	t.Helper()
	return slices.Concat([]byte(text), []byte("\n"), logSigner(t).verifier.line(ed25519.Sign(private(1), []byte(text))))
}

// A log that signs two histories of one size gives the evidence itself, whatever old size it
// claims, and whatever else it sends along.
func TestForkIsProved(t *testing.T) {
	f, forged, log := plant(t, 40), plant(t, 41), logSigner(t).Verifier()
	last := seen(t, f, 20)
	for old, status := range map[int64]int{20: 422, 0: 409, 19: 409, 21: 400} {
		r := ask2(t, forged, old, 20)
		r.Checkpoint = cosign(t, r.Checkpoint, cosigner(t, 3), 1)
		_, _, err := Judge(log, last, r)
		var fork *ForkError
		var no *Refusal
		if !errors.As(err, &fork) || !errors.As(err, &no) || no.Status != status {
			t.Errorf("old %d: %v", old, err)
			continue
		}
		if !bytes.Equal(fork.A, last.Signed) || !bytes.Equal(fork.B, checkpoint(t, forged.head(t, 20))) {
			t.Errorf("evidence %q and %q", fork.A, fork.B)
		}
		// Whoever knows the log's key sees it too.
		var again *ForkError
		if err := Compare(log, fork.A, fork.B); !errors.As(err, &again) || !bytes.Equal(again.A, fork.A) || !bytes.Equal(again.B, fork.B) {
			t.Errorf("a third party sees %v", err)
		}
	}
	if err := Compare(log, last.Signed, last.Signed); err != nil {
		t.Errorf("the same twice: %v", err)
	}
	if err := Compare(log, last.Signed, checkpoint(t, forged.head(t, 21))); err != nil {
		t.Errorf("of two sizes: %v", err)
	}
	// Nobody else can make one up.
	var wrong *SignatureError
	fake := []byte(strings.Replace(string(last.Signed), last.Head.Root.String(), Hash{1}.String(), 1))
	if err := Compare(log, last.Signed, fake); !errors.As(err, &wrong) {
		t.Errorf("forged evidence: %v", err)
	}
	if err := Compare(log, fake, last.Signed); !errors.As(err, &wrong) {
		t.Errorf("forged evidence: %v", err)
	}
}

func TestRollbackIsNamed(t *testing.T) {
	f, log := plant(t, 40), logSigner(t).Verifier()
	for old, status := range map[int64]int{20: 400, 10: 409, 0: 409} {
		_, _, err := Judge(log, seen(t, f, 20), ask2(t, f, old, 15))
		var back *RollbackError
		var no *Refusal
		if !errors.As(err, &back) || *back != (RollbackError{20, 15}) || !errors.As(err, &no) || no.Status != status {
			t.Errorf("old %d: %v", old, err)
		}
	}
}

// The bytes of requests do not change.
func TestRequestSnapshot(t *testing.T) {
	r := Request{20852014, []Hash{{1}, {2}}, checkpoint(t, sampleHead)}
	want := "old 20852014\nAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nAgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n" + string(checkpoint(t, sampleHead))
	if got := string(r.Encode()); got != want {
		t.Errorf("got\n%s", got)
	}
	if got, err := DecodeRequest(r.Encode()); err != nil || got.Origin() != origin || got.Old != r.Old || !slices.Equal(got.Proof, r.Proof) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	r := Request{5, make([]Hash, MaxProof), checkpoint(t, sampleHead)}
	good := string(r.Encode())
	if _, err := DecodeRequest([]byte(good)); err != nil {
		t.Fatal(err)
	}
	hash := Hash{}.String() + "\n"
	for name, c := range map[string]struct{ body, field string }{
		"empty":         {"", "body"},
		"long":          {good + strings.Repeat("x", MaxRequest), "body"},
		"no old":        {good[len("old 5\n"):], "old size"},
		"leading zero":  {strings.Replace(good, "old 5", "old 05", 1), "old size"},
		"negative":      {strings.Replace(good, "old 5", "old -5", 1), "old size"},
		"two spaces":    {strings.Replace(good, "old 5", "old  5", 1), "old size"},
		"64 hashes":     {strings.Replace(good, hash, hash+hash, 1), "hashes"},
		"short hash":    {strings.Replace(good, hash, hash[4:], 1), "hash"},
		"text":          {strings.Replace(good, hash, "text\n", 1), "hash"},
		"no signatures": {good[:strings.Index(good, "— ")], "signatures"},
	} {
		var format *FormatError
		if got, err := DecodeRequest([]byte(c.body)); !errors.As(err, &format) || format.Field != c.field {
			t.Errorf("%s: %+v, %v, want a wrong %s", name, got, err, c.field)
		}
	}
	for _, body := range []string{"", "\n", "5", "05\n", "-1\n", "5\n\n", " 5\n", "281474976710657\n", strings.Repeat("1", 100) + "\n"} {
		if n, err := ParseConflict([]byte(body)); err == nil {
			t.Errorf("conflict %q: %d", body, n)
		}
	}
}

func FuzzRequest(f *testing.F) {
	tree := plant(f, 40)
	f.Add(ask(f, tree, 20, 30).Encode())
	f.Add(ask(f, tree, 0, 30).Encode())
	log, last := logSigner(f).Verifier(), seen(f, tree, 20)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRequest(b)
		if err != nil {
			return
		}
		if !bytes.Equal(r.Encode(), b) {
			t.Errorf("%q reads as %+v", b, r)
		}
		if next, _, err := Judge(log, last, r); err == nil && next.Head != tree.head(t, 30) {
			t.Errorf("%q is cosigned at %+v", b, next.Head)
		}
	})
}

func FuzzConflict(f *testing.F) {
	f.Add([]byte("20\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		known, err := ParseConflict(b)
		if err != nil {
			return
		}
		if _, again := (&Refusal{StatusConflict, known, nil}).Body(); !bytes.Equal(again, b) {
			t.Errorf("%q reads as %d", b, known)
		}
	})
}
