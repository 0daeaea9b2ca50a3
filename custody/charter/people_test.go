package charter

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

func TestAccount(t *testing.T) {
	a := Account{Charter: statement.ID{1}, Vault: statement.ID{2}, Department: "payments", Name: "rent", Path: [2]uint32{0, 7}, Created: noon}
	s := must(a.Statement(salt))(t)
	snapshot(t, s)
	if got := must(AccountOf(s))(t); got != a {
		t.Errorf("read %+v", got)
	}
	a.Path[1] = 1 << 31
	if _, err := a.Statement(salt); err == nil {
		t.Error("a hardened level is accepted")
	}
	if _, err := AccountOf(must(vault(t).Statement(salt))(t)); err == nil {
		t.Error("a vault passes for an account")
	}
}

func TestKeyChoice(t *testing.T) {
	r := must(RosterOf(must(roster(t).Statement(salt))(t)))(t)
	v := vault(t)
	v.Charter, v.Roster = r.ID, r.ID
	v = must(VaultOf(must(v.Statement(salt))(t)))(t)
	c := KeyChoice{Charter: r.ID, Vault: v.ID, Key: [32]byte{3}, Attempt: 1, Suite: SuiteECDSA, PublicKey: append([]byte{2, 4}, make([]byte, 31)...), Epoch: [32]byte{5}, Certificate: [32]byte{6}}
	s := must(c.Statement())(t)
	snapshot(t, s)
	if again := must(c.Statement())(t); again.ID() != s.ID() {
		t.Error("two nodes build different bytes")
	}
	if got := must(KeyChoiceOf(s))(t); !reflect.DeepEqual(got, c) {
		t.Errorf("read %+v", got)
	}
	sigs := map[string][]byte{}
	for _, name := range v.Committee {
		sigs[name] = must(signet.SignNode(private("node of "+name), s))(t)
	}
	if err := VerifyKeyChoice(s, v, r, sigs); err != nil {
		t.Error(err)
	}
	for _, name := range v.Committee {
		good := sigs[name]
		sigs[name] = nil
		if err := VerifyKeyChoice(s, v, r, sigs); !errors.Is(err, signet.ErrNodeSignature) || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
		sigs[name] = must(signet.SignNode(private("mallory"), s))(t)
		if VerifyKeyChoice(s, v, r, sigs) == nil {
			t.Errorf("mallory signs for %s", name)
		}
		sigs[name] = good
	}
	other := v
	other.ID = statement.ID{9}
	if VerifyKeyChoice(s, other, r, sigs) == nil {
		t.Error("it serves another vault")
	}
	short := r
	short.Operators = r.Operators[:2]
	if VerifyKeyChoice(s, v, short, sigs) == nil {
		t.Error("a member that is no operator is passed over")
	}
	foreign := c
	foreign.Suite, foreign.PublicKey = SuiteEd25519, make([]byte, 32)
	if VerifyKeyChoice(must(foreign.Statement())(t), v, r, sigs) == nil {
		t.Error("it serves a suite that the vault does not have")
	}
	foreign.PublicKey = make([]byte, 33)
	if _, err := KeyChoiceOf(must(foreign.Statement())(t)); err == nil || !strings.Contains(err.Error(), "public-key has 33 bytes") {
		t.Errorf("a public key of another suite's length: %v", err)
	}
	fields := s.Fields()
	salted := must(statement.Build(statement.Key, fields[:len(fields)-1], salt))(t)
	if _, err := KeyChoiceOf(salted); err == nil || !strings.Contains(err.Error(), "salt") {
		t.Errorf("free salt: %v", err)
	}
}

func TestHello(t *testing.T) {
	h := Hello{Roster: statement.ID{1}, Identity: identity("acme"), Challenge: [32]byte{7}, Person: sshKey(t, "alice"), Created: noon}
	s := must(h.Statement(salt))(t)
	snapshot(t, s)
	armored := officerSigns(t, s, "hello", "alice")
	got, err := VerifyHello(s, armored, h.Roster, h.Identity, h.Challenge, noon.Add(HelloSkew))
	if err != nil || !reflect.DeepEqual(got, h) {
		t.Errorf("%+v, %v", got, err)
	}
	verify := func(armored []byte, charter statement.ID, node string, challenge byte, now time.Time) error {
		_, err := VerifyHello(s, armored, charter, identity(node), [32]byte{challenge}, now)
		return err
	}
	for name, c := range map[string]struct{ err, want error }{
		"other circle":    {verify(armored, statement.ID{2}, "acme", 7, noon), ErrOtherCircle},
		"other node":      {verify(armored, h.Roster, "bolt", 7, noon), ErrOtherNode},
		"other challenge": {verify(armored, h.Roster, "acme", 8, noon), ErrOtherChallenge},
		"late":            {verify(armored, h.Roster, "acme", 7, noon.Add(HelloSkew+time.Second)), ErrHelloTime},
		"early":           {verify(armored, h.Roster, "acme", 7, noon.Add(-HelloSkew-time.Second)), ErrHelloTime},
		"stranger":        {verify(officerSigns(t, s, "hello", "mallory"), h.Roster, "acme", 7, noon), signet.ErrStranger},
		"other use":       {verify(officerSigns(t, s, "approve", "alice"), h.Roster, "acme", 7, noon), signet.ErrNamespace},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	if _, err := VerifyHello(must(vault(t).Statement(salt))(t), armored, h.Roster, h.Identity, h.Challenge, noon); err == nil {
		t.Error("a vault passes for a hello")
	}
}

func FuzzDecodeAccepted(f *testing.F) {
	s := must(roster(f).Statement(salt))(f)
	f.Add(Accepted{Statement: s}.Bytes())
	f.Add(Accepted{s, map[string][]byte{"acme": officerSigns(f, s, "roster", "officer of acme")}}.Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		a, err := DecodeAccepted(in)
		if err != nil {
			return
		}
		if !bytes.Equal(a.Bytes(), in) {
			t.Fatal("decode then encode changed it")
		}
	})
}

// FuzzRead gives meaning to every statement that has the right form.
func FuzzRead(f *testing.F) {
	f.Add(must(roster(f).Statement(salt))(f).Bytes())
	f.Add(must(vault(f).Statement(salt))(f).Bytes())
	_, v := four(f, 2)
	f.Add(must(reshare(v, 1, 2, "acme", "bolt", "dora").Statement(salt))(f).Bytes())
	x, _ := sighted(f)
	f.Add(must(x.Statement(salt))(f).Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := statement.Parse(in)
		if err != nil {
			return
		}
		var again statement.Statement
		if r, err1 := RosterOf(s); err1 == nil {
			again, err = r.Statement(s.Salt())
		} else if v, err1 := VaultOf(s); err1 == nil {
			again, err = v.Statement(s.Salt())
		} else if a, err1 := AccountOf(s); err1 == nil {
			again, err = a.Statement(s.Salt())
		} else if h, err1 := HelloOf(s); err1 == nil {
			again, err = h.Statement(s.Salt())
		} else if c, err1 := KeyChoiceOf(s); err1 == nil {
			again, err = c.Statement()
		} else if x, err1 := ReshareOf(s); err1 == nil {
			again, err = x.Statement(s.Salt())
		} else if c, err1 := Of(s); err1 == nil {
			again, err = c.Statement(s.Salt())
		} else if f, err1 := FreezeOf(s); err1 == nil {
			again, err = f.Statement(s.Salt())
		} else if u, err1 := UnfreezeOf(s); err1 == nil {
			again, err = u.Statement(s.Salt())
		} else if r, err1 := RevocationOf(s); err1 == nil {
			again, err = r.Statement(s.Salt())
		} else if x, err1 := SightingOf(s); err1 == nil {
			again, err = x.Statement(s.Salt())
		} else {
			return
		}
		if err != nil || again.ID() != s.ID() {
			t.Fatalf("read and written again it differs: %v", err)
		}
	})
}
