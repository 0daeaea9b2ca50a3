package charter

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/guardian"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

func TestCardsInACharter(t *testing.T) {
	d := must(ReadDocument([]byte(started(t)), []byte(StartPolicy)))(t)
	c := must(Of(must(Charter{Roster: statement.ID{2}, Created: noon, Document: d}.Statement(salt))(t)))(t)
	g, ok := c.Guardian("guardian-3")
	if !ok || g.Card != card(t, "holder-3") {
		t.Errorf("%+v", g)
	}
	if _, ok := c.Guardian("guardian-9"); ok {
		t.Error("a guardian that is not there")
	}
	// A charter from before there were cards.
	for i := range d.Guardians {
		d.Guardians[i].Card = guardian.Card{}
	}
	for i := range d.Vaults {
		d.Vaults[i].Rescue = nil
	}
	c = must(Of(must(Charter{Roster: statement.ID{2}, Created: noon, Document: d}.Statement(salt))(t)))(t)
	if g, _ := c.Guardian("guardian-3"); !g.Card.IsZero() {
		t.Errorf("%v", g.Card)
	}
	rereads(t, c.Document)
}

// Each makes cards of which two would be in one hand.
func TestCardsApart(t *testing.T) {
	first := card(t, "holder-0")
	line := must(first.Key())(t)
	for name, x := range map[string]struct {
		change func(*Document)
		want   string
	}{
		"one card, two guardians": {func(d *Document) { d.Guardians[1].Card = first }, "guardian guardian-1: card: its signing key is that of guardian guardian-0"},
		"a person's key":          {func(d *Document) { d.People[2].Keys = []signet.Key{line} }, "guardian guardian-0: card: its signing key is that of person carol"},
		"a node's identity":       {func(d *Document) { d.Operators[1].Identity = first.Signing() }, "guardian guardian-0: card: its signing key is that of operator bolt"},
		"one encryption key":      {func(d *Document) { d.Guardians[1].Card = sharing(t, "holder-0", "holder-1") }, "guardian guardian-1: card: its encryption key is that of guardian guardian-0"},
	} {
		d := must(ReadDocument([]byte(started(t)), []byte(StartPolicy)))(t)
		x.change(&d)
		if err := d.Validate(); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sharing is a card of one guardian's encryption key under a second signing key of the same person.
func sharing(t *testing.T, ek, signing string) guardian.Card {
	t.Helper()
	a, b := sha256.Sum256([]byte("guardian "+ek)), sha256.Sum256([]byte("other "+signing))
	dk := must(must(guardian.FromSeed(a[:]))(t).Decryption())(t)
	key := ed25519.NewKeyFromSeed(b[:])
	public, to := key.Public().(ed25519.PublicKey), dk.Public()
	proof := must(dk.ProvePossession(transcript.New(transcript.GuardianPossession).Bytes(public).Tree(), bytes.NewReader(make([]byte, 1024))))(t)
	signed := transcript.New(transcript.GuardianCard).Bytes(public).Bytes(to[:]).Bytes(proof).Tree()
	return must(guardian.DecodeCard(bytes.Join([][]byte{public, to[:], proof, ed25519.Sign(key, signed)}, nil)))(t)
}

// A guardian's key stays theirs over all versions.
func TestCardsOverVersions(t *testing.T) {
	was := Charter{Document: must(ReadDocument([]byte(started(t)), []byte(StartPolicy)))(t), Version: 4}
	for name, x := range map[string]struct {
		change func(*Document)
		want   string
	}{
		"nothing":    {func(*Document) {}, ""},
		"a new card": {func(d *Document) { d.Guardians[0].Card = card(t, "another") }, ""},
		"a new name": {func(d *Document) { d.Guardians[0].Name = "first" }, ""},
		"it goes":    {func(d *Document) { d.Guardians = d.Guardians[1:] }, ""},
		"to another": {func(d *Document) { d.Guardians[0].Person = "holder-9" }, "was holder-0's in version 4"},
		"its encryption key": {func(d *Document) {
			d.Guardians[0].Person, d.Guardians[0].Card = "holder-9", sharing(t, "holder-0", "x")
		}, "was holder-0's in version 4"},
		"a guardian's, now carol": {func(d *Document) {
			d.Guardians[0].Card, d.People[2].Keys = guardian.Card{}, []signet.Key{must(card(t, "holder-0").Key())(t)}
		}, "person carol: key"},
	} {
		next := Charter{Document: must(ReadDocument([]byte(started(t)), []byte(StartPolicy)))(t), Version: 5}
		x.change(&next.Document)
		err := History{was}.sameOwners(next)
		if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	before := was
	before.People = slices.Clone(was.People)
	before.People[2].Keys = []signet.Key{must(card(t, "holder-0").Key())(t)}
	if err := (History{before}).sameOwners(was); err == nil || !strings.Contains(err.Error(), "guardian guardian-0: card: its signing key was person carol's") {
		t.Errorf("a person's key becomes a guardian's: %v", err)
	}
}

func TestCardIsNoOfficers(t *testing.T) {
	d := must(ReadDocument([]byte(started(t)), []byte(StartPolicy)))(t)
	r := roster(t)
	c := Charter{Roster: r.ID, Document: d}
	c.Circle = r.Circle
	for i := range c.Operators {
		o, _ := r.Operator(c.Operators[i].Name)
		c.Operators[i].Identity, c.Operators[i].Entity = o.Identity, o.Entity
	}
	if _, err := c.Acceptors(r); err != nil {
		t.Fatal(err)
	}
	r.Operators[1].Officers = []signet.Key{must(card(t, "holder-2").Key())(t)}
	if _, err := c.Acceptors(r); err == nil || !strings.Contains(err.Error(), "guardian guardian-2: card: its signing key is one of operator bolt") {
		t.Errorf("%v", err)
	}
	r = roster(t)
	r.Operators[0].Identity, r.Operators[0].Name = card(t, "holder-2").Signing(), "zeta"
	if _, err := c.Acceptors(r); err == nil || !strings.Contains(err.Error(), "guardian guardian-2: card: its signing key is one of operator zeta") {
		t.Errorf("%v", err)
	}
}

func TestReadCardRefuses(t *testing.T) {
	good := card(t, "holder-0")
	text := good.String()
	file := started(t)
	swap := map[bool]string{true: "A", false: "B"}[text[100] != 'A']
	bad := good.Bytes()
	bad[191] ^= 1 // the signature: with a checksum that fits
	sum := sha256.Sum256(append([]byte("ostraka-guardian1"), bad...))
	forged := "ostraka-guardian1" + base64.RawURLEncoding.EncodeToString(append(bad, sum[:6]...))
	for name, x := range map[string][2]string{
		"mistyped":   {text[:100] + swap + text[101:], "checksum"},
		"cut":        {text[:200], "copy all of it"},
		"forged":     {forged, "signature"},
		"no card":    {hex.EncodeToString(good.Signing()), "does not begin"},
		"an SSH key": {strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshSigner(t, "alice").PublicKey()))), "does not begin"},
	} {
		_, err := ReadDocument([]byte(strings.Replace(file, text, x[0], 1)), []byte(StartPolicy))
		if err == nil || !strings.Contains(err.Error(), x[1]) || !strings.Contains(err.Error(), "card") {
			t.Errorf("%s: %v", name, err)
		}
		d := must(ReadDocument([]byte(file), []byte(StartPolicy)))(t)
		s := must(Charter{Roster: statement.ID{2}, Created: noon, Document: d}.Statement(salt))(t)
		again, err := statement.Parse([]byte(strings.Replace(s.Text(), text, x[0], 1)))
		if err != nil {
			continue // longer than a card
		}
		if _, err := Of(again); err == nil || !strings.Contains(err.Error(), "guardian guardian-0: card: ") {
			t.Errorf("%s, in a statement: %v", name, err)
		}
	}
}
