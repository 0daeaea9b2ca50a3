package charter

import (
	"crypto/ed25519"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// sighted is what an auditor saw of the first place of the first operator, and its charter.
func sighted(t testing.TB) (Sighting, Document) {
	t.Helper()
	d := must(ReadDocument([]byte(started(t)), []byte(StartPolicy)))(t)
	o := d.Operators[0]
	p := o.Places[0]
	return Sighting{
		Witness: "audra", Entity: "Auditors LLP", Operator: o.Name, Identity: o.Identity,
		Place: Place{Name: p.Name, Provider: p.Provider, Account: p.Account, Region: p.Region, Jurisdiction: p.Jurisdiction, Hardware: p.Hardware, Access: p.Access},
		Saw:   "the console of the account, with its owner beside me", Documents: [][32]byte{{1}, {2}}, Created: noon, Expires: noon.Add(365 * 24 * time.Hour),
	}, d
}

func TestSighting(t *testing.T) {
	x, d := sighted(t)
	s := must(x.Statement(salt))(t)
	if got := must(SightingOf(s))(t); !reflect.DeepEqual(got, x) {
		t.Errorf("read back as %+v, not %+v", got, x)
	}
	armored := officerSigns(t, s, signet.Makes(statement.Sighting), "audra")
	got, err := VerifySighting(s, armored, map[string][]signet.Key{"audra": {sshKey(t, "audra")}}, d, noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if agree, differ := got.Compare(d.Operators[0].Places[0]); strings.Join(agree, " ") != "jurisdiction hardware access" || len(differ) != 0 {
		t.Errorf("agree %v, differ %v", agree, differ)
	}
	other := d.Operators[0].Places[0]
	other.Jurisdiction, other.Hardware, other.Access = "fr", strings.ToUpper(other.Hardware), other.Access[:len(other.Access)-1]
	if agree, differ := got.Compare(other); strings.Join(agree, " ") != "hardware" || strings.Join(differ, " ") != "jurisdiction access" {
		t.Errorf("agree %v, differ %v", agree, differ)
	}
	got.Place = Place{Name: other.Name, Hardware: other.Hardware}
	if agree, differ := got.Compare(other); strings.Join(agree, " ") != "hardware" || len(differ) != 0 {
		t.Errorf("of hardware alone: agree %v, differ %v", agree, differ)
	}
}

func TestSightingRefused(t *testing.T) {
	audra := sshKey(t, "audra")
	for name, c := range map[string]struct {
		change func(*Sighting, *Document)
		by     string
		at     time.Duration
		want   string
	}{
		"another witness's": {by: "mallet", want: "a key that is not listed"},
		"a stranger's key":  {by: "mallory", want: "a key that is not listed"},
		"before it was":     {at: -time.Hour, want: "compare the clocks"},
		"after its time":    {at: 366 * 24 * time.Hour, want: "have it looked at again"},
		"other operator":    {change: func(x *Sighting, _ *Document) { x.Operator = "zeta" }, want: "no such operator"},
		"other node":        {change: func(x *Sighting, _ *Document) { x.Identity = make(ed25519.PublicKey, 32) }, want: "no such operator, node"},
		"other place":       {change: func(x *Sighting, _ *Document) { x.Place.Name = "moon" }, want: "and place"},
		"own entity":        {change: func(x *Sighting, d *Document) { x.Entity = strings.ToUpper(d.Operators[0].Entity) }, want: ErrOwnWord.Error()},
		"own name":          {change: func(x *Sighting, d *Document) { x.Witness = d.Operators[0].Name }, want: ErrOwnWord.Error()},
		"own person's name": {change: func(x *Sighting, d *Document) { x.Witness = d.Operators[0].Places[0].Access[0] }, want: ErrOwnWord.Error()},
		"key of somebody with access": {change: func(_ *Sighting, d *Document) {
			for i, h := range d.People {
				if h.Name == d.Operators[0].Places[0].Access[0] {
					d.People[i].Keys = append([]signet.Key{audra}, h.Keys...)
				}
			}
		}, want: ErrOwnWord.Error()},
		"key of an outsider with access": {change: func(_ *Sighting, d *Document) {
			d.People = append(d.People, Human{Name: "zoe", Organisation: "elsewhere", Keys: []signet.Key{audra}})
			d.Operators[0].Places[0].Access = []string{"zoe"}
		}, want: ErrOwnWord.Error()},
		"key of who owns the place": {change: func(_ *Sighting, d *Document) {
			d.People = append(d.People, Human{Name: "zoe", Organisation: "landlord", Keys: []signet.Key{audra}})
			d.Operators[0].Places[0].Organisation = "landlord"
		}, want: ErrOwnWord.Error()},
		"key of the operator's staff": {change: func(_ *Sighting, d *Document) {
			d.People = append(d.People, Human{Name: "zoe", Organisation: d.Operators[0].Name, Keys: []signet.Key{audra}})
		}, want: ErrOwnWord.Error()},
	} {
		x, d := sighted(t)
		if c.change != nil {
			c.change(&x, &d)
		}
		by := c.by
		if by == "" {
			by = "audra"
		}
		s := must(x.Statement(salt))(t)
		armored := officerSigns(t, s, signet.Makes(statement.Sighting), by)
		if _, err := VerifySighting(s, armored, map[string][]signet.Key{x.Witness: {audra}, "mallet": {sshKey(t, "mallet")}}, d, noon.Add(c.at)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	x, d := sighted(t)
	s := must(x.Statement(salt))(t)
	for name, armored := range map[string][]byte{
		"no signature": nil, "for another use": officerSigns(t, s, signet.Approve, "audra"), "of other bytes": officerSigns(t, must(x.Statement(statement.Salt{9}))(t), signet.Makes(statement.Sighting), "audra"),
	} {
		if _, err := VerifySighting(s, armored, map[string][]signet.Key{x.Witness: {audra}, "mallet": {sshKey(t, "mallet")}}, d, noon); err == nil || errors.Is(err, ErrOwnWord) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSightingThatSaysNothing(t *testing.T) {
	for name, change := range map[string]func(*Sighting){
		"nothing of the place":    func(x *Sighting) { x.Place = Place{Name: x.Place.Name} },
		"account and no provider": func(x *Sighting) { x.Place.Provider, x.Place.Region = "", "" },
		"ends before it begins":   func(x *Sighting) { x.Expires = x.Created },
		"for too long":            func(x *Sighting) { x.Expires = x.Created.Add(MaxSighting + time.Second) },
		"access out of order":     func(x *Sighting) { x.Place.Access = []string{"zoe", "abe"} },
		"one twice":               func(x *Sighting) { x.Place.Access = []string{"abe", "abe"} },
		"no witness":              func(x *Sighting) { x.Witness = "" },
		"saw nothing":             func(x *Sighting) { x.Saw = "" },
	} {
		x, _ := sighted(t)
		change(&x)
		if s, err := x.Statement(salt); err == nil {
			t.Errorf("%s: %s", name, s.Text())
		}
	}
}
