package nitro

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/evidence/attest"
)

var update = flag.Bool("update", false, "write testdata anew")

// The genuine document holds at its date, and says what the golden file says.
func TestSample(t *testing.T) {
	e, trust := sample(t)
	g, err := e.Authenticate(trust)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%s\n%s in %s of %s at %s, expires %s\n", g.Text(), g.Module, g.Instance(), g.Region, g.At.Format(time.RFC3339Nano), g.Expires.Format(time.RFC3339))
	for i := range uint8(16) {
		text += fmt.Sprintf("pcr %d %x\n", i, g.PCRs[i])
	}
	text += fmt.Sprintf("public key %x\nuser data %s\nnonce %x\n", g.PublicKey, g.UserData, g.Nonce)
	if *update {
		if err := os.WriteFile("testdata/report.txt", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := file(t, "testdata/report.txt"); text != string(want) {
		t.Errorf("it says\n%s\nnot\n%s", text, want)
	}
	if err := g.Judge(binding); err == nil || !strings.Contains(err.Error(), "user_data is not of this node") {
		t.Errorf("the sample is not of this node: %v", err)
	}
}

func TestSampleRefused(t *testing.T) {
	genuine, roots := sample(t)
	other := made(t)
	foreign := other.make()
	for name, c := range map[string]struct {
		change func(*Evidence, *Trust)
		want   string
	}{
		"another's root":     {func(_ *Evidence, r *Trust) { r.Roots = []*x509.Certificate{other.root} }, "certificate: x509: certificate signed by unknown authority"},
		"the day after":      {func(_ *Evidence, r *Trust) { r.Now = sampled.AddDate(0, 0, 1) }, "certificate: x509: certificate has expired"},
		"the day before":     {func(_ *Evidence, r *Trust) { r.Now = sampled.AddDate(0, 0, -1) }, "certificate: x509: certificate has expired or is not yet valid"},
		"another's document": {func(e *Evidence, _ *Trust) { e.Document = foreign.Document }, "certificate: x509"},
		"a tail":             {func(e *Evidence, _ *Trust) { e.Document = append(bytes.Clone(e.Document), 0) }, "document: 1 bytes too many"},
		"a tag":              {func(e *Evidence, _ *Trust) { e.Document = append([]byte{0xd2}, e.Document...) }, "document: an item of kind 6"},
		"empty":              {func(e *Evidence, _ *Trust) { e.Document = nil }, "document: ends too early"},
	} {
		e, trust := *genuine, roots
		c.change(&e, &trust)
		if _, err := e.Authenticate(trust); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var unknown *attest.UnknownError
	if _, err := genuine.Authenticate(Trust{Now: sampled}); !errors.As(err, &unknown) {
		t.Errorf("without a root it was judged: %v", err)
	}
}

// flipStep is how many bytes are passed over between those that are turned.
var flipStep = 5

// Each byte of the document is held by its signature.
func TestEachFlippedByteIsRefused(t *testing.T) {
	e, trust := sample(t)
	var taken []int
	for i := 0; i < len(e.Document); i += flipStep {
		e.Document[i] ^= 1 << (i % 8)
		if _, err := e.Authenticate(trust); err == nil {
			taken = append(taken, i)
		}
		e.Document[i] ^= 1 << (i % 8)
	}
	if len(taken) > 0 {
		t.Errorf("document with a byte turned at %v is taken", taken)
	}
}

func set(name string, value any) func(*maker) { return func(m *maker) { m.fields[name] = value } }

func pcr(i uint64, value []byte) func(*maker) {
	return func(m *maker) { m.fields["pcrs"].(map[uint64][]byte)[i] = value }
}

// replace changes bytes of a payload before it is signed.
func replace(old, with string) func(*maker) {
	return func(m *maker) {
		m.before = func(b []byte) []byte {
			if bytes.Count(b, []byte(old)) != 1 {
				m.t.Fatalf("%q stands %d times", old, bytes.Count(b, []byte(old)))
			}
			return bytes.Replace(b, []byte(old), []byte(with), 1)
		}
	}
}

// What a document must hold, field by field. The maker signs each anew, so that nothing but the field can refuse it.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*maker)
		want   string // empty: it holds
	}{
		"as it should be":     {func(*maker) {}, ""},
		"no optional fields":  {func(m *maker) { delete(m.fields, "nonce"); delete(m.fields, "public_key") }, ""},
		"its own nonce":       {set("nonce", []byte("nonce")), ""},
		"an old clock":        {set("timestamp", uint64(now.Add(4*time.Minute).UnixMilli())), ""},
		"algorithm":           {func(m *maker) { m.protected = map[int]int{1: -7} }, "document: protected header a10126"},
		"two headers":         {func(m *maker) { m.protected = map[int]int{1: -35, 4: 1} }, "document: protected header"},
		"unprotected header":  {func(m *maker) { m.headers[4] = 1 }, "document: 1 unprotected headers"},
		"digest":              {set("digest", "SHA256"), `document: digest is "SHA256"`},
		"digest of a kind":    {set("digest", 384), `document: field "digest": an item of kind 0`},
		"no module":           {func(m *maker) { delete(m.fields, "module_id") }, `document: field "module_id" is missing`},
		"no certificate":      {set("certificate", "none"), `document: field "certificate" is missing`},
		"no bundle":           {set("cabundle", "none"), `document: field "cabundle" is missing`},
		"empty bundle":        {set("cabundle", [][]byte{}), "certificate: x509"},
		"large bundle":        {set("cabundle", make([][]byte, 9)), `document: field "cabundle": has 9 items`},
		"no PCRs":             {func(m *maker) { delete(m.fields, "pcrs") }, `document: field "pcrs" is missing`},
		"unknown field":       {set("more", 1), `document: has 10 items, at most 9`},
		"another field":       {func(m *maker) { delete(m.fields, "nonce"); m.fields["more"] = 1 }, `document: field "more": is not known`},
		"long user data":      {set("user_data", make([]byte, 1025)), `document: field "user_data": has 1025 bytes`},
		"user data as text":   {set("user_data", "text"), `document: field "user_data": an item of kind 3`},
		"long module":         {set("module_id", strings.Repeat("i", 257)), `document: field "module_id": has 257 bytes`},
		"time as text":        {set("timestamp", "now"), `document: field "timestamp": an item of kind 3`},
		"no time":             {set("timestamp", 0), "document: timestamp 0 is no time"},
		"beyond all time":     {set("timestamp", uint64(1<<60)), "document: timestamp 1152921504606846976 is no time"},
		"from the future":     {set("timestamp", uint64(now.Add(6*time.Minute).UnixMilli())), "document: timestamp is from the future"},
		"before its key":      {set("timestamp", uint64(now.Add(-2*time.Hour).UnixMilli())), "is not of the time of its certificate"},
		"PCR 32":              {pcr(32, make([]byte, 48)), `document: field "pcrs": PCR 32 is out of range`},
		"PCR of 32 bytes":     {pcr(7, make([]byte, 32)), `document: field "pcrs": PCR 7 has 32 bytes`},
		"debug":               {pcr(0, make([]byte, 48)), "document: PCR 0 is missing or zero"},
		"no kernel":           {pcr(1, make([]byte, 48)), "document: PCR 1 is missing or zero"},
		"no application":      {func(m *maker) { delete(m.fields["pcrs"].(map[uint64][]byte), 2) }, "document: PCR 2 is missing or zero"},
		"another's user data": {set("user_data", bytes.Repeat([]byte{1}, 32)), "document: user_data is not of this node"},
		"user data behind":    {set("user_data", append(binding[:], 0)), "document: user_data is not of this node"},
		"no user data":        {set("user_data", nil), "document: user_data is not of this node"},
		"no enclave":          {set("module_id", "i-0123"), "document: module_id"},
		"short signature":     {func(m *maker) { m.short = true }, "document: signature has 95 bytes"},
		"module in two lines": {set("module_id", "i-0123-enc\nregion: here"), "document: module_id"},
		"curve":               {func(m *maker) { m.curve = elliptic.P256() }, "certificate: its key is not on P-384"},
		"an authority signs":  {func(m *maker) { m.leafCA = true }, "certificate: it is an authority's"},
		"certificate's bytes": {set("certificate", []byte{1}), "certificate: x509"},
		"bundle's bytes":      {set("cabundle", [][]byte{{1}}), "cabundle 0: x509"},
		"long number":         {replace("\x66digest", "\x78\x06digest"), "document: number 6 is not in its shortest form"},
		"open map":            {func(m *maker) { m.before = func(b []byte) []byte { return append([]byte{0xbf}, b[1:]...) } }, "document: an item's length is open"},
		"no UTF-8":            {replace("SHA384", "SHA38\xff"), "document: field \"digest\": a text is not UTF-8"},
		"twice": {func(m *maker) {
			delete(m.fields, "nonce")
			m.fields["digesu"] = "SHA384"
			replace("digesu", "digest")(m)
		}, "stands twice"},
	} {
		m := made(t)
		c.change(m)
		e := m.make()
		g, err := e.Authenticate(m.trust())
		if err == nil {
			err = g.Judge(binding)
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A document's CBOR has one form: nothing open, nothing longer than it must be.
func TestForms(t *testing.T) {
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"open list":      {[]byte{0x9f, 0xff}, "an item's length is open"},
		"open bytes":     {[]byte{0x84, 0x5f, 0xff}, "an item's length is open"},
		"long list":      {[]byte{0x98, 0x04}, "number 4 is not in its shortest form"},
		"longer list":    {[]byte{0x99, 0x00, 0x80}, "number 128 is not in its shortest form"},
		"longest list":   {[]byte{0x9a, 0x00, 0x00, 0x80, 0x00}, "number 32768 is not in its shortest form"},
		"three parts":    {[]byte{0x83}, "has 3 parts"},
		"a billion":      {[]byte{0x9a, 0x40, 0x00, 0x00, 0x00}, "has 1073741824 items"},
		"bytes too long": {[]byte{0x84, 0x5a, 0x40, 0x00, 0x00, 0x00}, "has 1073741824 bytes"},
		"cut number":     {[]byte{0x84, 0x59, 0x01}, "ends too early"},
		"cut bytes":      {[]byte{0x84, 0x44, 0xa1}, "ends too early"},
	} {
		if _, err := Read(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The evidence that the face's tests judge, and others', is what this room takes.
func TestSelfmade(t *testing.T) {
	const evidence, top = "../hardware/testdata/nitro.evidence", "../hardware/testdata/nitro.root"
	if *update {
		m := made(t)
		e := m.make()
		root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.root.Raw})
		if err := errors.Join(os.WriteFile(evidence, e.Encode(), 0o644), os.WriteFile(top, root, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	e, err := Decode(file(t, evidence))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(file(t, top))
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if g, err := e.Authenticate(Trust{Roots: []*x509.Certificate{root}, Now: now}); err != nil || g.Judge(binding) != nil {
		t.Error(err)
	}
}

func TestEvidenceBytes(t *testing.T) {
	b := (&Evidence{[]byte("document")}).Encode()
	text := []byte(fmt.Sprintf("%x\n", b))
	if *update {
		if err := os.WriteFile("testdata/evidence.hex", text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := file(t, "testdata/evidence.hex"); !bytes.Equal(want, text) {
		t.Errorf("bytes changed: %s", text)
	}
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"nothing":       {nil, "field 1: ends too early"},
		"another kind":  {bytes.Replace(b, []byte(Kind), []byte("nitrx"), 1), `its kind is "nitrx"`},
		"long document": {(&Evidence{make([]byte, MaxDocument+1)}).Encode(), "field 2: has 16385"},
		"cut":           {b[:len(b)-1], "ends too early"},
		"a tail":        {append(bytes.Clone(b), 0), "1 bytes too many"},
		"far too large": {make([]byte, MaxEvidence+1), "at most"},
	} {
		if _, err := Decode(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzEvidence(f *testing.F) {
	e, _ := sample(f)
	f.Add(e.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Decode(b)
		if err != nil {
			return
		}
		if !bytes.Equal(e.Encode(), b) {
			t.Errorf("%x has another form", b)
		}
		if g, err := e.Authenticate(Trust{Now: sampled}); err == nil {
			t.Errorf("without a root: %+v", g)
		}
	})
}
