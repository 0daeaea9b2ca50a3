package decide

import (
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/node/ceremony"
)

// uses is a payload that needs signatures of suites.
type uses struct {
	payload.Payload
	suites []string
}

func (u uses) Uses() (all []effect.Use) {
	for _, suite := range u.suites {
		all = append(all, effect.Use{Suite: suite})
	}
	return all
}

// oneUse is a payload that needs one signature.
type oneUse struct {
	payload.Payload
	use effect.Use
}

func (p oneUse) Uses() []effect.Use { return []effect.Use{p.use} }

// A vault whose keys are held by different operators signs with one of them alone, and reads what both signed before: else that would be missing from limits after the next start.
func TestKeysApart(t *testing.T) {
	held := func(suite string, by ...string) ceremony.View {
		v := ceremony.View{Suite: suite, Current: &epoch.FinalCert{Record: &epoch.Record{Suite: suite, Public: secp256k1.Group{}.Generator()}}}
		v.Vault.ID, v.Vault.Threshold, v.Vault.Committee = statement.ID{7}, 2, by
		return v
	}
	first, moved := held(charter.SuiteBIP340, "acme", "bolt", "cora"), held(charter.SuiteECDSA, "acme", "bolt", "dora")
	views := []ceremony.View{first, moved}
	d := New(Config{
		Vault: func(statement.ID) []ceremony.View { return views },
		Book:  func(statement.ID) (*policy.Book, error) { return &policy.Book{}, nil },
	})
	c, err := d.context(intent.Intent{}, first)
	if err != nil {
		t.Fatal(err)
	}
	both := uses{suites: []string{charter.SuiteBIP340, charter.SuiteECDSA, charter.SuiteBIP340}}
	if r, err := c.Root(charter.SuiteECDSA); err != nil || r.Public == nil {
		t.Errorf("not read any more: %v", err)
	}
	if err := d.together(both, first); err == nil || !strings.Contains(err.Error(), "held by different operators now") {
		t.Errorf("both sign one transaction: %v", err)
	}
	if err := d.together(uses{suites: []string{charter.SuiteBIP340}}, first); err != nil {
		t.Errorf("alone: %v", err)
	}
	path := [3]uint32{0, 1, 2}
	_, shift, err := hd.Derive(secp256k1.Group{}.Generator(), [32]byte{}, hd.Path(path[:]))
	if err != nil {
		t.Fatal(err)
	}
	key, err := crypto.ToECDSA(shift.Add(secp256k1.Group{}.Scalar(1)).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	digest := [32]byte{5}
	sig, err := crypto.Sign(digest[:], key)
	if err != nil {
		t.Fatal(err)
	}
	f := &file{payload: oneUse{use: effect.Use{Suite: charter.SuiteECDSA, Path: path, Message: digest[:]}}}
	if _, _, err := d.readPart(f, first, []byte{0, 0}, sig); err != nil {
		t.Errorf("a signature that was made before: %v", err)
	}
	if sig[9] ^= 1; err == nil {
		_, _, err = d.readPart(f, first, []byte{0, 0}, sig)
	}
	if err == nil {
		t.Error("a signature of nobody's is read")
	}
	views[1] = held(charter.SuiteECDSA, "acme", "bolt", "cora")
	if err := d.together(both, first); err != nil {
		t.Errorf("held alike: %v", err)
	}
	views = views[:1]
	if err := d.together(both, first); err == nil {
		t.Error("a key that is none")
	}
}
