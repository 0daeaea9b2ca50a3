package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/internal/components/swtpm"
	"github.com/ostraka/ostraka/node/seal"
	sealtpm "github.com/ostraka/ostraka/node/seal/tpm"
)

func TestParseTPM(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"tpm":                                 {"pcrs": "sha256:0,2,4,7"},
		"tpm:sha256:7":                        {"pcrs": "sha256:7"},
		"tpm-pin:sha256:7,11@unix:/run/swtpm": {"pcrs": "sha256:7,11", "pin": "yes", "device": "unix:/run/swtpm"},
		"tpm@/dev/tpm0":                       {"pcrs": "sha256:0,2,4,7", "device": "/dev/tpm0"},
	} {
		if p, err := Parse(text); err != nil || p.Kind != TPM || !maps.Equal(p.Params, want) {
			t.Errorf("%s: %v, %v", text, p, err)
		}
	}
	for _, text := range []string{"tpm:", "tpm:7", "tpm:sha256:7,0", "tpm@", "tpm@tpm0", "tpm-PIN", "tpm2", "tpm:sha256:24"} {
		if p, err := Parse(text); err == nil {
			t.Errorf("%s is %v", text, p)
		}
	}
	if err := Check(seal.Provider{Kind: TPM, Params: map[string]string{"pcrs": "sha256:7", "pin": "no"}}); err == nil {
		t.Error("pin=no is taken")
	}
}

func TestNeedTPM(t *testing.T) {
	of := func(kinds ...string) (s seal.Slot) {
		for _, k := range kinds {
			s.Providers = append(s.Providers, seal.Provider{Kind: k})
		}
		return s
	}
	for _, c := range []struct {
		want  bool
		slots []seal.Slot
	}{
		{true, []seal.Slot{of(TPM)}}, {true, []seal.Slot{of(Passphrase, TPM)}}, {true, []seal.Slot{of(TPM), of(TPM, Age)}},
		{false, []seal.Slot{of(Passphrase)}}, {false, []seal.Slot{of(TPM), of(Passphrase)}},
	} {
		if NeedTPM(c.slots...) != c.want {
			t.Errorf("%v: not %v", c.slots, c.want)
		}
	}
}

// A key file with a TPM and, beside it, a passphrase: after another boot the second opens it, and says nothing of the first but why.
func TestTPMSlot(t *testing.T) {
	e := swtpm.Start(t)
	ctx, label, path := context.Background(), seal.Label{Row: "node"}, filepath.Join(t.TempDir(), "key")
	p, err := Parse("tpm-pin:sha256:16@" + e.Path())
	if err != nil {
		t.Fatal(err)
	}
	pins := func(pin string) *Ring {
		return &Ring{Rand: rand.Reader, Ask: func(_ context.Context, n Need) (secret.Bytes, error) {
			if n.Secret != TPMPin || pin == "" {
				return secret.Bytes{}, seal.ErrNoSecret
			}
			return secret.Copy([]byte(pin)), nil
		}}
	}
	box, err := seal.CreateFile(ctx, path, label, pins("1234").Open, rand.Reader, Main(p))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := box.Seal(label, []byte("row"))
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := seal.OpenFile(ctx, path, label, pins("1234").Open, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := again.Open(label, sealed); err != nil || string(b.Expose()) != "row" {
		t.Errorf("row: %v", err)
	}
	if _, _, err := seal.OpenFile(ctx, path, label, pins("1235").Open, rand.Reader); !errors.Is(err, sealtpm.ErrPIN) {
		t.Errorf("a wrong PIN: %v", err)
	}
	if _, _, err := seal.OpenFile(ctx, path, label, pins("").Open, rand.Reader); err == nil {
		t.Error("opened without a PIN")
	}
	// With two slots a wrong PIN still costs one try.
	if _, _, err := seal.RekeyFile(ctx, path, label, pins("1234").Open, seal.Change{Put: []seal.Slot{{Name: "second", Providers: []seal.Provider{p}}}}, pins("1234").Open, rand.Reader); err != nil {
		t.Fatal(err)
	}
	if _, _, err := seal.OpenFile(ctx, path, label, pins("1235").Open, rand.Reader); !strings.Contains(fmt.Sprint(err), "tried nowhere else") || !strings.Contains(fmt.Sprint(err), "it takes 1 wrong ones more") {
		t.Errorf("a wrong PIN for two slots: %v", err)
	}
	e.Extend(t, 16, strings.Repeat("01", 32))
	var changed *sealtpm.ChangedError
	if _, _, err := seal.OpenFile(ctx, path, label, pins("1234").Open, rand.Reader); !errors.As(err, &changed) {
		t.Errorf("after another boot: %v", err)
	}
}
