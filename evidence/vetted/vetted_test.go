package vetted

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
)

var update = flag.Bool("update", false, "write testdata anew")

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func demand() charter.Demand {
	return charter.Demand{Operator: "acme", Fresh: 6 * time.Hour, Hardware: []charter.Hardware{{Kind: charter.KindTPM, Measurements: []charter.Measurement{{Name: "r1", Value: "tpm2:0,4,7:" + strings.Repeat("01", 32)}}}}}
}

func key(name string) ed25519.PublicKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
}

func record() Record {
	x := demand()
	return Record{
		Subject:  Subject{Identity: key("acme"), Life: Life{Counter: 3, Instance: [16]byte{1}}, Asker: key("bolt"), Nonce: [32]byte{2}, Connection: [32]byte{9}},
		Operator: "acme", At: noon, Charter: statement.ID{3}, Demand: x.Hash(), Kind: charter.KindTPM, Name: "r1", Measurement: x.Hardware[0].Measurements[0].Value,
		Device: "tpm2:aa", Shown: true, Evidence: []byte{4, 5, 6},
	}
}

func refusal() Record {
	r := record()
	r.Kind, r.Name, r.Measurement, r.Device, r.Shown, r.Evidence = "", "", "", "", false, nil
	r.Why = "quote: its qualifying data are not of this node and this nonce"
	return r
}

func noted() Record {
	r := record()
	r.Notes = "nobody looked"
	return r
}

func meeting() Meeting {
	return Meeting{Session: [32]byte{7}, With: []With{{Operator: "acme", Record: [32]byte{8}}, {Operator: "bolt"}}}
}

func TestSnapshots(t *testing.T) {
	for name, raw := range map[string][]byte{"record": record().Encode(), "refusal": refusal().Encode(), "meeting": meeting().Encode(), "noted": noted().Encode()} {
		file := filepath.Join("testdata", name+".hex")
		text := hex.EncodeToString(raw) + "\n"
		if *update {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || string(want) != text {
			t.Errorf("%s is %s, want %s (%v)", name, text, want, err)
		}
	}
	for _, r := range []Record{record(), refusal(), noted()} {
		got, err := Decode(r.Encode())
		if err != nil || !bytes.Equal(got.Encode(), r.Encode()) || !got.At.Equal(r.At) || got.Why != r.Why || got.Notes != r.Notes {
			t.Errorf("read %+v, %v; want %+v", got, err, r)
		}
	}
	if got, err := DecodeMeeting(meeting().Encode()); err != nil || len(got.With) != 2 || got.With[0].Operator != "acme" {
		t.Errorf("read %+v, %v", got, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Record)
		want   string
	}{
		"an operator that is no label":    {func(r *Record) { r.Operator = "Acme" }, "operator: "},
		"a name that is no label":         {func(r *Record) { r.Name = "" }, "name: "},
		"the 0th process":                 {func(r *Record) { r.Life.Counter = 0 }, "counter"},
		"no connection":                   {func(r *Record) { r.Connection = [32]byte{} }, "connection: is missing"},
		"a counter beyond all":            {func(r *Record) { r.Life.Counter = 1 << 50 }, "field 3"},
		"a short identity":                {func(r *Record) { r.Identity = r.Identity[:31] }, "field 2"},
		"no evidence":                     {func(r *Record) { r.Evidence = nil }, "evidence: is missing"},
		"huge evidence":                   {func(r *Record) { r.Evidence = make([]byte, MaxEvidence+1) }, "field 17"},
		"a measurement beyond all bounds": {func(r *Record) { r.Measurement = strings.Repeat("a", 1025) }, "field 14"},
		"notes of two lines":              {func(r *Record) { r.Notes = "a\nb" }, "notes: "},
		"notes beyond all bounds":         {func(r *Record) { r.Notes = strings.Repeat("a", MaxWhy+1) }, "field 18"},
		"a reason of two lines":           {func(r *Record) { *r = refusal(); r.Why = "a\nb" }, "why: "},
	} {
		r := record()
		c.change(&r)
		if _, err := Decode(r.Encode()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	// Notes that are empty are left out: else one record had two forms.
	if _, err := Decode(append(record().Encode(), 0, 18, 0, 0, 0, 0)); err == nil || !strings.Contains(err.Error(), "field 18") {
		t.Errorf("empty notes: %v", err)
	}
	if _, err := Decode(append(record().Encode(), 0)); err == nil {
		t.Error("a byte too many is taken")
	}
	for name, m := range map[string]Meeting{"nobody": {}, "disorder": {With: []With{{Operator: "bolt"}, {Operator: "acme"}}}, "somebody twice": {With: []With{{Operator: "acme"}, {Operator: "acme"}}}, "no label": {With: []With{{Operator: "A"}}}} {
		if _, err := DecodeMeeting(m.Encode()); err == nil {
			t.Errorf("a meeting with %s is taken", name)
		}
	}
}

// A record counts under its own demand, for its time, and for the measurement that the charter lists by its name.
func TestMeets(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Record, *charter.Demand)
		at     time.Duration
		want   error
	}{
		"good":                      {at: 0},
		"good to the last":          {at: 6*time.Hour - time.Second},
		"too old":                   {at: 6 * time.Hour, want: ErrStale},
		"a clock a little behind":   {at: -Skew},
		"a clock far behind":        {at: -Skew - time.Second, want: ErrAhead},
		"refused":                   {change: func(r *Record, _ *charter.Demand) { *r = refusal() }, want: ErrRefused},
		"another operator's":        {change: func(r *Record, _ *charter.Demand) { r.Operator = "bolt" }, want: ErrDemand},
		"a kind that is not taken":  {change: func(r *Record, _ *charter.Demand) { r.Kind = charter.KindTDX }, want: ErrDemand},
		"another measurement":       {change: func(r *Record, _ *charter.Demand) { r.Measurement = "tpm2:0:aa" }, want: ErrDemand},
		"another name":              {change: func(r *Record, _ *charter.Demand) { r.Name = "r2" }, want: ErrDemand},
		"no name and no such value": {change: func(r *Record, _ *charter.Demand) { r.Name, r.Measurement = "", "x" }, want: ErrDemand},
		"an amended demand":         {change: func(_ *Record, x *charter.Demand) { x.Fresh = 7 * time.Hour }, want: ErrDemand},
	} {
		r, x := record(), demand()
		if c.change != nil {
			c.change(&r, &x)
		}
		if err := r.Meets(x, noon.Add(c.at)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// Whatever of a subject is another, so is what its hardware signs.
func TestChallenge(t *testing.T) {
	base := record().Subject
	seen := map[[32]byte]string{base.Challenge(): "itself"}
	for name, change := range map[string]func(*Subject){
		"asker": func(s *Subject) { s.Asker = key("cora") }, "nonce": func(s *Subject) { s.Nonce[31] = 1 },
		"counter": func(s *Subject) { s.Life.Counter++ }, "instance": func(s *Subject) { s.Life.Instance[15] = 1 }, "connection": func(s *Subject) { s.Connection[31] = 1 },
	} {
		s := base
		change(&s)
		if other, ok := seen[s.Challenge()]; ok {
			t.Errorf("another %s has the challenge of %s", name, other)
		}
		seen[s.Challenge()] = name
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(record().Encode())
	f.Add(refusal().Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := Decode(b); err == nil && !bytes.Equal(r.Encode(), b) {
			t.Errorf("%x is read, and written as %x", b, r.Encode())
		}
	})
}

func FuzzDecodeMeeting(f *testing.F) {
	f.Add(meeting().Encode())
	var e transcript.Encoder
	f.Add(e.Bytes(1, nil).Sum())
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := DecodeMeeting(b); err == nil && !bytes.Equal(m.Encode(), b) {
			t.Errorf("%x is read, and written as %x", b, m.Encode())
		}
	})
}
