package drill

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

var update = flag.Bool("update", false, "write testdata anew")

var (
	noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	salt = statement.Salt{31: 9}
)

func identity(name string) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(append([]byte(name), make([]byte, 32-len(name))...))
}

func keysOf(name string) tlog.Keys { return tlog.KeysFor(name, identity(name), 0, noon) }

func logs() []tlog.Keys { return []tlog.Keys{keysOf("acme"), keysOf("bolt"), keysOf("cora")} }

// checkpoint is of a log, cosigned by these operators' nodes.
func checkpoint(t testing.TB, of string, at time.Time, by ...string) []byte {
	t.Helper()
	key, _ := tlog.Derive(identity(of), 0)
	s, err := tlog.NewLogSigner(keysOf(of).Origin, key)
	if err != nil {
		t.Fatal(err)
	}
	c := tlog.Checkpoint{Origin: keysOf(of).Origin, Head: tlog.Head{Size: 7, Root: tlog.Hash{8}}}
	signed, err := c.Sign(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range by {
		_, key := tlog.Derive(identity(name), 0)
		w, err := tlog.NewCosigner(keysOf(name).Name, key)
		if err != nil {
			t.Fatal(err)
		}
		line, err := w.Cosign(c, at)
		if err != nil {
			t.Fatal(err)
		}
		signed = append(signed, line...)
	}
	return signed
}

func guardians(t testing.TB) Drill {
	return Drill{
		Vault: statement.ID{1}, Key: [32]byte{2}, Epoch: [32]byte{3}, Role: Guardian, By: "gail", Party: [16]byte{4}, Spoiled: []string{"acme", "bolt"},
		Checkpoint: checkpoint(t, "acme", noon, "bolt"), Created: noon,
	}.Draft(salt)
}

func operators(t testing.TB) Drill {
	return Drill{
		Vault: statement.ID{1}, Key: [32]byte{2}, Epoch: [32]byte{3}, Role: Operator, By: "acme", Party: [16]byte{5}, Level: charter.Export, Backup: [32]byte{6},
		Checkpoint: checkpoint(t, "acme", noon, "bolt"), Created: noon,
	}.Draft(salt)
}

func coins() *rand.ChaCha8 { return rand.NewChaCha8([32]byte{1}) }

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func value(g group.Group, n uint64) (group.Scalar, group.Point) {
	return g.Scalar(n), g.BaseMul(g.Scalar(n))
}

// drilled is an operator's whole drill, and what it is held to.
func drilled(t testing.TB, g group.Group) (Drill, Points) {
	t.Helper()
	s, p := value(g, 11)
	m, mp := value(g, 12)
	d := must(operators(t).Prove(s, p, coins()))(t)
	d = must(d.ProveMask(m, mp, coins()))(t)
	return must(Of(must(d.Statement())(t)))(t), Points{d.Party, p, mp}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	text, path := hex.EncodeToString(got)+"\n", "testdata/"+name+".hex"
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != text {
		t.Errorf("%s: differs (%v): go test ./custody/backup/drill -update writes it anew", path, err)
	}
}

func TestDrill(t *testing.T) {
	for _, g := range []group.Group{secp256k1.Group{}, edwards25519.Group{}} {
		d, points := drilled(t, g)
		if err := d.Check(points); err != nil {
			t.Error(err)
		}
		golden(t, "operator-"+g.Name(), must(d.Statement())(t).Bytes())
		s, p := value(g, 13)
		x := must(guardians(t).Prove(s, p, coins()))(t)
		st := must(x.Statement())(t)
		golden(t, "guardian-"+g.Name(), st.Bytes())
		x = must(Of(st))(t)
		if err := x.Check(Points{Party: x.Party, Value: p}); err != nil {
			t.Error(err)
		}
		if again := must(x.Statement())(t); again.ID() != st.ID() {
			t.Error("it is written anew in other bytes")
		}
		seen, err := x.Seen(logs())
		if err != nil || seen.Operator != "acme" || !seen.At.Equal(noon) || x.Timely(seen, noon) != nil {
			t.Errorf("%+v, %v, %v", seen, err, x.Timely(seen, noon))
		}
	}
}

// A proof serves for what it was made for, and for nothing else.
func TestDrillServesOnce(t *testing.T) {
	g := secp256k1.Group{}
	d, points := drilled(t, g)
	_, other := value(g, 14)
	for name, change := range map[string]func(*Drill, *Points){
		"another vault":           func(d *Drill, _ *Points) { d.Vault[0]++ },
		"another key":             func(d *Drill, _ *Points) { d.Key[0]++ },
		"another epoch":           func(d *Drill, _ *Points) { d.Epoch[0]++ },
		"another person":          func(d *Drill, _ *Points) { d.By = "bolt" },
		"another party":           func(d *Drill, p *Points) { d.Party[0]++; p.Party[0]++ },
		"not the record's party":  func(_ *Drill, p *Points) { p.Party[0]++ },
		"another level":           func(d *Drill, _ *Points) { d.Level = charter.Paper },
		"another backup":          func(d *Drill, _ *Points) { d.Backup[0]++ },
		"another checkpoint":      func(d *Drill, _ *Points) { d.Checkpoint = checkpoint(t, "acme", noon.Add(time.Second), "bolt") },
		"another time":            func(d *Drill, _ *Points) { d.Created = d.Created.Add(time.Second) },
		"another salt":            func(d *Drill, _ *Points) { d.salt[0]++ },
		"another share":           func(_ *Drill, p *Points) { p.Value = other },
		"another mask":            func(_ *Drill, p *Points) { p.Mask = other },
		"share's proof as mask's": func(d *Drill, p *Points) { d.Mask, p.Mask = d.Proof, p.Value },
		"no mask":                 func(d *Drill, _ *Points) { d.Mask = nil },
		"a mask too many":         func(_ *Drill, p *Points) { p.Mask = nil },
		"a bit of the proof":      func(d *Drill, _ *Points) { d.Proof = bytes.Clone(d.Proof); d.Proof[64] ^= 1 },
		"a short proof":           func(d *Drill, _ *Points) { d.Proof = d.Proof[:64] },
		"a share of zero": func(d *Drill, p *Points) {
			p.Value = g.BaseMul(g.Scalar(0))
		},
	} {
		x, p := d, points
		change(&x, &p)
		if x.Check(p) == nil {
			t.Errorf("%s: it holds", name)
		}
	}
	if _, err := operators(t).Prove(g.Scalar(3), other, coins()); err == nil {
		t.Error("a proof is made of what is not the point's value")
	}
}

func TestDrillForms(t *testing.T) {
	s, p := value(secp256k1.Group{}, 11)
	for name, c := range map[string]struct {
		change func(*Drill)
		of     func(testing.TB) Drill
		says   string
	}{
		"level of a guardian":   {func(d *Drill) { d.Level = charter.Paper }, guardians, "level"},
		"backup of a guardian":  {func(d *Drill) { d.Backup[0] = 1 }, guardians, "backup"},
		"spoiled not ascending": {func(d *Drill) { d.Spoiled = []string{"bolt", "acme"} }, guardians, "spoiled"},
		"spoiled twice":         {func(d *Drill) { d.Spoiled = []string{"acme", "acme"} }, guardians, "spoiled"},
		"operator's spoiled":    {func(d *Drill) { d.Spoiled = []string{"acme"} }, operators, "spoiled"},
		"operator's level":      {func(d *Drill) { d.Level = "" }, operators, "level"},
		"a replica":             {func(d *Drill) { d.Level = charter.Replica }, operators, "level"},
		"long checkpoint":       {func(d *Drill) { d.Checkpoint = make([]byte, statement.MaxDrilled+1) }, guardians, "checkpoint"},
		"no checkpoint":         {func(d *Drill) { d.Checkpoint = nil }, guardians, "checkpoint"},
	} {
		d := c.of(t)
		c.change(&d)
		_, err := d.Statement()
		if _, proved := d.Prove(s, p, coins()); err == nil || !strings.Contains(err.Error(), c.says) || proved == nil {
			t.Errorf("%s: %v, %v", name, err, proved)
		}
	}
	bare := must(guardians(t).Statement())(t)
	if _, err := Of(bare); err == nil || !strings.Contains(err.Error(), "proof") {
		t.Errorf("without proof: %v", err)
	}
	d := must(guardians(t).Prove(s, p, coins()))(t)
	d.Mask = d.Proof
	if _, err := d.Statement(); err == nil {
		t.Error("a guardian has a mask")
	}
	d, _ = drilled(t, secp256k1.Group{})
	raw := must(d.Statement())(t).Bytes()
	zero := bytes.Replace(raw, []byte("backup: 06"), []byte("backup: 00"), 1)
	if st, err := statement.Parse(zero); err != nil {
		t.Error(err)
	} else if _, err := Of(st); err == nil {
		t.Error("a field of zeros is as one that is absent")
	}
}

// A checkpoint that anybody alone could have made long before is no ground.
func TestGround(t *testing.T) {
	forged := checkpoint(t, "acme", noon)
	forged = append(forged, checkpoint(t, "cora", noon, "bolt")[len(checkpoint(t, "cora", noon)):]...) // bolt's word about another log
	for name, c := range map[string]struct {
		of         func(testing.TB) Drill
		checkpoint []byte
		says       string
	}{
		"not cosigned":             {guardians, checkpoint(t, "acme", noon), "no node of another operator"},
		"by a stranger":            {guardians, checkpoint(t, "acme", noon, "zara"), "no node of another operator"},
		"by who drills":            {operators, checkpoint(t, "bolt", noon, "acme"), "no node of another operator"},
		"of no log of ours":        {guardians, checkpoint(t, "zara", noon, "bolt"), "not known"},
		"another's cosignature":    {guardians, forged, "not by it"},
		"no checkpoint":            {guardians, []byte("hello"), "not known"},
		"its signature cut":        {guardians, bytes.Split(checkpoint(t, "acme", noon, "bolt"), []byte("\n\n"))[0], "checkpoint"},
		"another size, same words": {guardians, bytes.Replace(checkpoint(t, "acme", noon, "bolt"), []byte("\n7\n"), []byte("\n8\n"), 1), "not by it"},
	} {
		d := c.of(t)
		d.Checkpoint = c.checkpoint
		if _, err := d.Seen(logs()); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := guardians(t)
	d.Checkpoint = checkpoint(t, "acme", noon, "acme", "bolt") // its own word adds nothing, and takes nothing
	seen := must(d.Seen(logs()))(t)
	for name, c := range map[string]struct {
		now, created time.Time
		says         string
	}{
		"stale by a second":   {noon.Add(Fresh + time.Second), noon, "newer"},
		"of the future":       {noon.Add(-Skew - time.Second), noon, "future"},
		"made in the future":  {noon, noon.Add(Skew + time.Second), "future"},
		"made before":         {noon, noon.Add(-Skew - time.Second), "before its checkpoint"},
		"at the end of a day": {noon.Add(Fresh), noon, ""},
		"clocks that differ":  {noon.Add(-Skew), noon, ""},
	} {
		d.Created = c.created
		err := d.Timely(seen, c.now)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func request(t testing.TB) Request {
	return Request{
		Circle: "Drei Häuser", Checkpoint: checkpoint(t, "acme", noon, "bolt"), Names: []Named{{[16]byte{5}, "acme"}, {[16]byte{6}, "bolt"}},
		Keys: []Asked{{statement.ID{1}, "treasury", []byte("record"), []byte("plan"), []byte("set")}, {statement.ID{2}, "ops", []byte("c"), []byte("p"), []byte("s")}},
	}
}

func TestFiles(t *testing.T) {
	r := request(t)
	file := r.Encode()
	golden(t, "request", file)
	got, err := DecodeRequest(file)
	name, known := got.Name([16]byte{6})
	if _, other := got.Name([16]byte{7}); err != nil || !reflect.DeepEqual(got, r) || name != "bolt" || !known || other {
		t.Errorf("%+v, %v", got, err)
	}
	d, _ := drilled(t, secp256k1.Group{})
	st := must(d.Statement())(t)
	answer := EncodeAnswer([]statement.Statement{st, st})
	golden(t, "answer", answer)
	all, err := DecodeAnswer(answer)
	if err != nil || len(all) != 2 || all[1].ID() != st.ID() {
		t.Errorf("%v, %v", all, err)
	}
	for name, change := range map[string]func(*Request){
		"circle": func(r *Request) { r.Circle = "a\x1b[2J" }, "vault": func(r *Request) { r.Keys[0].Name = "a\nb" }, "operator": func(r *Request) { r.Names[0].Name = "‮" }, "no keys": func(r *Request) { r.Keys = nil },
	} {
		x := request(t)
		change(&x)
		if _, err := DecodeRequest(x.Encode()); err == nil {
			t.Errorf("%s: it is read", name)
		}
	}
	bare := must(guardians(t).Statement())(t)
	for name, bad := range map[string][]byte{"nothing": EncodeAnswer(nil), "no drill": EncodeAnswer([]statement.Statement{bare}), "a request": file, "cut": answer[:len(answer)-1], "more": append(bytes.Clone(answer), 0)} {
		if _, err := DecodeAnswer(bad); err == nil {
			t.Errorf("%s: it is read as an answer", name)
		}
	}
}

func FuzzFiles(f *testing.F) {
	d, _ := drilled(f, secp256k1.Group{})
	f.Add(request(f).Encode())
	f.Add(EncodeAnswer([]statement.Statement{must(d.Statement())(f)}))
	f.Fuzz(func(t *testing.T, file []byte) {
		if r, err := DecodeRequest(file); err == nil && !bytes.Equal(r.Encode(), file) {
			t.Error("a request becomes another")
		}
		if all, err := DecodeAnswer(file); err == nil && !bytes.Equal(EncodeAnswer(all), file) {
			t.Error("an answer becomes another")
		}
	})
}

func FuzzOf(f *testing.F) {
	d, _ := drilled(f, secp256k1.Group{})
	f.Add(must(d.Statement())(f).Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := statement.Parse(raw)
		if err != nil {
			return
		}
		d, err := Of(s)
		if err != nil {
			return
		}
		if again, err := d.Statement(); err != nil || again.ID() != s.ID() {
			t.Errorf("a drill becomes another: %v", err)
		}
	})
}
