package tsm

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/evidence/attest/sevsnp"
	"github.com/ostraka/ostraka/evidence/attest/tdx"
)

// fake is a folder that stands for the kernel's: what it would hold appears as a folder is made in it. Nothing here is hardware.
func fake(t *testing.T, kind, carry string, files map[string][]byte) (m *Maker, asked *[]byte) {
	t.Helper()
	m, err := New(kind, t.TempDir(), carry)
	if err != nil {
		t.Fatal(err)
	}
	asked = new([]byte)
	m.mkdir = func(p string) error {
		if err := os.Mkdir(p, 0o700); err != nil {
			return err
		}
		for name, b := range files {
			if err := os.WriteFile(filepath.Join(p, name), b, 0o600); err != nil {
				return err
			}
		}
		return nil
	}
	m.rmdir = func(p string) error {
		b, err := os.ReadFile(filepath.Join(p, "inblob"))
		if err == nil {
			*asked = b
		}
		return os.RemoveAll(p)
	}
	return m, asked
}

func certificates(mix bool, all ...any) []byte {
	head, body := []byte{}, []byte{}
	at := 24 * (len(all)/2 + 1)
	for i := 0; i < len(all); i += 2 {
		g, cert := all[i].([16]byte), all[i+1].([]byte)
		if mix {
			g = mixed(g)
		}
		head = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(append(head, g[:]...), uint32(at+len(body))), uint32(len(cert)))
		body = append(body, cert...)
	}
	return append(append(head, make([]byte, 24)...), body...)
}

func TestSNP(t *testing.T) {
	report := bytes.Repeat([]byte{7}, sevsnp.ReportSize)
	for name, aux := range map[string][]byte{
		"in order":  certificates(false, ask, []byte("issuer"), vcek, []byte("signer")),
		"as mixed":  certificates(true, ask, []byte("issuer"), vcek, []byte("signer")),
		"of a load": certificates(false, vlek, []byte("signer"), ask, []byte("issuer")),
	} {
		m, asked := fake(t, sevsnp.Kind, "", map[string][]byte{"provider": []byte("sev_guest\n"), "generation": []byte("1\n"), "outblob": report, "auxblob": aux})
		b, err := m.Evidence(context.Background(), [32]byte{9})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		e, err := sevsnp.Decode(b)
		if err != nil || !bytes.Equal(e.Report, report) || string(e.Signer) != "signer" || string(e.Issuer) != "issuer" {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
		if len(*asked) != 64 || (*asked)[0] != 9 || !bytes.Equal((*asked)[32:], make([]byte, 32)) {
			t.Errorf("%s: the hardware was asked to sign %x", name, *asked)
		}
		if left, _ := os.ReadDir(m.folder); len(left) > 0 {
			t.Errorf("%s: %v is left behind", name, left)
		}
		if _, err := m.Answer(context.Background(), nil); err == nil {
			t.Errorf("%s: a guest answers a challenge", name)
		}
	}
}

func TestTDXCarriesWhatIntelSays(t *testing.T) {
	carry := t.TempDir()
	files := map[string][]byte{"provider": []byte("tdx_guest"), "generation": []byte("1"), "outblob": []byte("quote")}
	m, _ := fake(t, tdx.Kind, carry, files)
	if _, err := m.Evidence(context.Background(), [32]byte{}); err == nil || !strings.Contains(err.Error(), "tcb-info.json is missing") {
		t.Errorf("without collateral: %v", err)
	}
	for _, name := range []string{"tcb-info.json", "identity.json", "signer.der", "root-list.der", "pck-list.der"} {
		if err := os.WriteFile(filepath.Join(carry, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"tcb-info.sig", "identity.sig"} {
		if err := os.WriteFile(filepath.Join(carry, name), bytes.Repeat([]byte{1}, 64), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := m.Evidence(context.Background(), [32]byte{})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := tdx.Decode(b); err != nil || string(e.Quote) != "quote" || string(e.PCKList) != "pck-list.der" {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestRefusals(t *testing.T) {
	if _, err := New("tpm2", "", ""); err == nil {
		t.Error("a TPM is taken for a guest")
	}
	m, err := New(sevsnp.Kind, filepath.Join(t.TempDir(), "none"), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Evidence(context.Background(), [32]byte{}); err == nil || !strings.Contains(err.Error(), "is not there") {
		t.Errorf("no such folder: %v", err)
	}
	report := bytes.Repeat([]byte{7}, sevsnp.ReportSize)
	for name, c := range map[string]struct {
		files map[string][]byte
		want  string
	}{
		"another hardware": {map[string][]byte{"provider": []byte("tdx_guest")}, "answers here"},
		"no certificates":  {map[string][]byte{"provider": []byte("sev_guest"), "generation": []byte("1"), "outblob": report}, "signer.der and issuer.der"},
		"a cut table":      {map[string][]byte{"provider": []byte("sev_guest"), "generation": []byte("1"), "outblob": report, "auxblob": certificates(false, vcek, []byte("signer"))[:50]}, "signer.der and issuer.der"},
		"a short report":   {map[string][]byte{"provider": []byte("sev_guest"), "generation": []byte("1"), "outblob": report[1:], "auxblob": certificates(false, vcek, []byte("s"), ask, []byte("i"))}, "field 2"},
		"nothing signed":   {map[string][]byte{"provider": []byte("sev_guest"), "generation": []byte("1")}, "outblob"},
	} {
		m, _ := fake(t, sevsnp.Kind, "", c.files)
		if _, err := m.Evidence(context.Background(), [32]byte{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
