package charter

import (
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/custody/statement"
)

// generator is an x-only key.
func generator() [32]byte { return [32]byte(secp256k1.Group{}.Generator().Bytes()[1:]) }

// withRecovery is a charter whose first vault has a recovery.
func withRecovery(t *testing.T) Document {
	t.Helper()
	d := must(ReadDocument([]byte(started(t)), nil))(t)
	v := &d.Vaults[0]
	v.Suites, v.Chains = []string{SuiteBIP340}, []string{bitcoinChain}
	v.Recovery = &Recovery{Key: generator(), Blocks: 52_560}
	d.Assets = append([]Asset{{Name: "btc", Chain: bitcoinChain, Decimals: 8, Unit: 5}}, d.Assets...)
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	return d
}

// A recovery is the same in the file, in the charter's statement and in the vault's.
func TestRecoveryReadsBack(t *testing.T) {
	d := withRecovery(t)
	rereads(t, d)
	v := vault(t)
	v.Suites, v.Recovery = []string{SuiteBIP340}, &Recovery{Key: generator(), Blocks: 65_535}
	s, err := v.Statement(salt)
	if err != nil {
		t.Fatal(err)
	}
	again, err := VaultOf(s)
	if err != nil || again.Recovery == nil || *again.Recovery != *v.Recovery {
		t.Errorf("%+v, %v", again.Recovery, err)
	}
}

func TestRecoveryRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Blueprint)
		want   string
	}{
		"no point's key":  {func(v *Blueprint) { v.Recovery.Key = [32]byte{31: 5} }, "recovery: key"},
		"at once":         {func(v *Blueprint) { v.Recovery.Blocks = 0 }, "at once"},
		"without Taproot": {func(v *Blueprint) { v.Suites = []string{SuiteECDSA} }, "only Taproot addresses"},
		"without Bitcoin": {func(v *Blueprint) { v.Chains = []string{"eip155:1"} }, "no chain of Bitcoin"},
	} {
		d := withRecovery(t)
		c.change(&d.Vaults[0])
		if err := d.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for name, fields := range map[string]func(statement.Block) statement.Block{
		"a key alone":  func(b statement.Block) statement.Block { k := generator(); return b.AddHex("recovery-key", k[:]) },
		"blocks alone": func(b statement.Block) statement.Block { return b.AddUint("recovery-blocks", 5) },
	} {
		if r, err := readRecovery(fields(nil)); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
	text := withRecovery(t).File()
	for name, c := range map[string][2]string{
		"capitals":  {"recovery:\n      key: \"79be", "recovery:\n      key: \"79BE"},
		"too long":  {"blocks: 52560", "blocks: 65536"},
		"no blocks": {"blocks: 52560", "blocks: 0"},
	} {
		if !strings.Contains(text, c[0]) {
			t.Fatalf("%s: no %q in\n%s", name, c[0], text)
		}
		if _, err := ReadDocument([]byte(strings.Replace(text, c[0], c[1], 1)), nil); err == nil || !strings.Contains(err.Error(), "recovery") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
