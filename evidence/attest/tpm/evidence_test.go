package tpm

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata anew")

func tpm2b(n int, b byte) []byte {
	return append([]byte{byte(n >> 8), byte(n)}, bytes.Repeat([]byte{b}, n)...)
}

func full() *Evidence {
	return &Evidence{
		EKCertificate: []byte("certificate"), Chain: [][]byte{[]byte("between"), []byte("upper")},
		EK: tpm2b(122, 0xe0), AK: tpm2b(86, 0xa0), Quote: bytes.Repeat([]byte{0x0c}, 145), Signature: bytes.Repeat([]byte{0x51}, 72),
		PCRs: []PCR{{0, [32]byte{1}}, {7, [32]byte{2}}, {23, [32]byte{3}}}, EventLog: []byte("log"),
	}
}

func golden(t *testing.T, name string, b []byte) {
	t.Helper()
	path, text := filepath.Join("testdata", name), []byte(hex.EncodeToString(b)+"\n")
	if *update {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(want, text) {
		t.Errorf("%s: bytes changed: %x, %v", name, b, err)
	}
}

func TestEvidenceBytes(t *testing.T) {
	e := full()
	golden(t, "evidence.hex", e.Encode())
	bare := &Evidence{EKCertificate: []byte{}, EK: e.EK, AK: e.AK, Quote: e.Quote, Signature: e.Signature, PCRs: e.PCRs[:1], EventLog: []byte{}}
	golden(t, "bare.hex", bare.Encode())
	for _, want := range []*Evidence{e, bare} {
		if got, err := Decode(want.Encode()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	largest := full()
	largest.EKCertificate, largest.EventLog = make([]byte, MaxCertificate), make([]byte, MaxEventLog)
	largest.EK, largest.AK, largest.Quote, largest.Signature = tpm2b(MaxPublic-2, 1), tpm2b(MaxPublic-2, 1), make([]byte, MaxQuote), make([]byte, MaxSignature)
	largest.Chain, largest.PCRs = nil, nil
	for range MaxChain {
		largest.Chain = append(largest.Chain, make([]byte, MaxCertificate))
	}
	for i := range MaxPCR + 1 {
		largest.PCRs = append(largest.PCRs, PCR{Index: uint8(i)})
	}
	if b := largest.Encode(); len(b) > MaxEvidence {
		t.Errorf("all at its bound has %d bytes, more than %d", len(b), MaxEvidence)
	} else if _, err := Decode(b); err != nil {
		t.Error(err)
	}
}

func TestEvidenceRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Evidence)
		want   string
	}{
		"certificate too long":  {func(e *Evidence) { e.EKCertificate = make([]byte, MaxCertificate+1) }, "field 2: has 8193"},
		"chain too long":        {func(e *Evidence) { e.Chain = make([][]byte, MaxChain+1) }, "field 3: has 9 items"},
		"empty certificate":     {func(e *Evidence) { e.Chain[1] = nil }, "field 3: item 1: field 1: is empty"},
		"long certificate":      {func(e *Evidence) { e.Chain[1] = make([]byte, MaxCertificate+1) }, "field 3: item 1: field 1: has 8193"},
		"no EK":                 {func(e *Evidence) { e.EK = nil }, "field 4: 0 bytes are no TPM2B"},
		"EK without content":    {func(e *Evidence) { e.EK = []byte{0, 0} }, "field 4: 2 bytes are no TPM2B"},
		"EK says another size":  {func(e *Evidence) { e.EK[1]++ }, "field 4: 124 bytes are no TPM2B"},
		"EK too long":           {func(e *Evidence) { e.EK = tpm2b(MaxPublic, 1) }, "field 4: has 1026"},
		"AK says another size":  {func(e *Evidence) { e.AK[1]-- }, "field 5: 88 bytes are no TPM2B"},
		"no quote":              {func(e *Evidence) { e.Quote = nil }, "field 6: is empty"},
		"quote too long":        {func(e *Evidence) { e.Quote = make([]byte, MaxQuote+1) }, "field 6: has 1025"},
		"no signature":          {func(e *Evidence) { e.Signature = nil }, "field 7: is empty"},
		"signature too long":    {func(e *Evidence) { e.Signature = make([]byte, MaxSignature+1) }, "field 7: has 1025"},
		"no PCR":                {func(e *Evidence) { e.PCRs = nil }, "field 8: has 0 items"},
		"PCR too high":          {func(e *Evidence) { e.PCRs[2].Index = 24 }, "field 8: item 2: field 1: is 24"},
		"PCR twice":             {func(e *Evidence) { e.PCRs[1].Index = 0 }, "field 8: item 1: field 1: PCR 0 stands behind PCR 0"},
		"PCRs in another order": {func(e *Evidence) { e.PCRs[2].Index = 5 }, "field 8: item 2: field 1: PCR 5 stands behind PCR 7"},
		"too many PCRs":         {func(e *Evidence) { e.PCRs = make([]PCR, MaxPCR+2) }, "field 8: has 25 items"},
		"log too long":          {func(e *Evidence) { e.EventLog = make([]byte, MaxEventLog+1) }, "field 9: has 262145"},
	} {
		e := full()
		c.change(e)
		if _, err := Decode(e.Encode()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := full().Encode()
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"nothing":      {nil, "field 1: ends too early"},
		"cut":          {b[:len(b)-1], "field 9: ends too early"},
		"another kind": {bytes.Replace(b, []byte("tpm2"), []byte("tpm3"), 1), `its kind is "tpm3"`},
		"a tail":       {append(bytes.Clone(b), 0), "1 bytes too many"},
		"too long":     {make([]byte, MaxEvidence+1), "at most"},
	} {
		if _, err := Decode(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestChallengeBytes(t *testing.T) {
	c := &Challenge{Credential: bytes.Repeat([]byte{0xc0}, 68), Secret: bytes.Repeat([]byte{0x5e}, 68)}
	golden(t, "challenge.hex", c.Encode())
	if got, err := DecodeChallenge(c.Encode()); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, b := range map[string][]byte{
		"no credential":       (&Challenge{nil, c.Secret}).Encode(),
		"credential too long": (&Challenge{make([]byte, maxCredential+1), c.Secret}).Encode(),
		"no secret":           (&Challenge{c.Credential, nil}).Encode(),
		"secret too long":     (&Challenge{c.Credential, make([]byte, maxSecret+1)}).Encode(),
		"a tail":              append(c.Encode(), 0),
		"too long":            make([]byte, MaxChallenge+1),
	} {
		if _, err := DecodeChallenge(b); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func FuzzEvidence(f *testing.F) {
	f.Add(full().Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := Decode(b); err == nil && !bytes.Equal(e.Encode(), b) {
			t.Errorf("%x has another form", b)
		}
	})
}

func FuzzChallenge(f *testing.F) {
	f.Add((&Challenge{[]byte{1}, []byte{2}}).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := DecodeChallenge(b); err == nil && !bytes.Equal(c.Encode(), b) {
			t.Errorf("%x has another form", b)
		}
	})
}
