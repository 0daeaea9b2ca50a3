package appeal_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/client/appeal"
	"github.com/ostraka/ostraka/client/appealtest"
	"github.com/ostraka/ostraka/client/carry"
	"github.com/ostraka/ostraka/custody/guardian"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/mpc/guard"
)

// What two of three operators and their guardians ask for, from the file to a contribution that everybody can check, and to every refusal.
func TestAppeal(t *testing.T) {
	v := appealtest.New(t, time.Unix(1_800_000_000, 0))
	t.Run("answered", func(t *testing.T) { answered(t, v) })
	t.Run("refused in the file", func(t *testing.T) { readRefuses(t, v) })
	t.Run("refused by the plan and the clock", func(t *testing.T) { mayRefuses(t, v) })
	t.Run("of one that lives", func(t *testing.T) { lives(t, v) })
	t.Run("contributions refused", func(t *testing.T) { checkRefuses(t, v) })
}

func read(t *testing.T, f carry.Appeal) appeal.Asked {
	t.Helper()
	again, err := carry.DecodeAppeal(f.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	a, err := appeal.Read(again)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func answered(t *testing.T, v *appealtest.Vault) {
	a := read(t, v.File(v.Usual()...))
	k := v.Guardian(1)
	card, err := k.Card()
	if err != nil {
		t.Fatal(err)
	}
	g, err := a.Who(card)
	if err != nil || g.Name != "guardian-1" {
		t.Fatal(g.Name, err)
	}
	if err := a.Pinned(v.Charter); err != nil {
		t.Error(err)
	}
	if err := a.May(g, v.Made, v.Made.Add(appealtest.Delay)); err != nil {
		t.Error(err)
	}
	c, spoiled, err := a.Answer(k, rand.Reader)
	if err != nil || len(spoiled) > 0 {
		t.Fatal(err, spoiled)
	}
	again, err := carry.DecodeContribution(c.Bytes())
	if err != nil || len(again.Parts) != 1 {
		t.Fatal(err)
	}
	if err := a.Check(again); err != nil {
		t.Error(err)
	}
	other, _, err := a.Answer(k, rand.Reader)
	if err != nil || bytes.Equal(other.Bytes(), c.Bytes()) {
		t.Errorf("two polynomials are one (%v)", err)
	}
	// Though the source repeat itself, no two activations see one polynomial.
	b := read(t, v.File(v.Activation(func(a *act.Activation) { a.Attempt = 2 })))
	one, _, err := a.Answer(k, still{})
	two, _, err2 := b.Answer(k, still{})
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	x, err := guard.DecodeContribution(a.Keys[0].Terms.Group, a.Keys[0].Committee, one.Parts[0].Contribution)
	y, err2 := guard.DecodeContribution(a.Keys[0].Terms.Group, b.Keys[0].Committee, two.Parts[0].Contribution)
	if errors.Join(err, err2) != nil || !x.Commit[0].Equal(y.Commit[0]) || x.Commit[1].Equal(y.Commit[1]) {
		t.Error("a polynomial served two activations")
	}
}

// still is a source that says nothing.
type still struct{}

func (still) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 1
	return b
}

func readRefuses(t *testing.T, v *appealtest.Vault) {
	contest := sos.Contest.String()
	with := func(edit func(*act.Activation)) []carry.Signed { return []carry.Signed{v.Activation(edit)} }
	veto := v.Veto(1)
	for name, x := range map[string]struct {
		said []carry.Signed
		edit func(*carry.Appeal)
		want string
	}{
		"no roster":                            {nil, func(f *carry.Appeal) { f.Rosters = nil }, "roster: there is none"},
		"a roster not accepted":                {nil, func(f *carry.Appeal) { f.Rosters[0].Signatures = f.Rosters[0].Signatures[1:] }, "roster, version 0"},
		"no charter":                           {nil, func(f *carry.Appeal) { f.Charters = nil }, "charter: there is none"},
		"a charter altered":                    {nil, func(f *carry.Appeal) { f.Charters[0] = flip(f.Charters[0]) }, "charter, version 0"},
		"a charter left out":                   {nil, func(f *carry.Appeal) { f.Charters = f.Charters[:len(f.Charters)-1] }, "charter: "},
		"no vault":                             {nil, func(f *carry.Appeal) { f.Vault = nil }, "vault: "},
		"a vault altered":                      {nil, func(f *carry.Appeal) { f.Vault = bytes.Replace(f.Vault, []byte("operator-0"), []byte("operator-1"), 1) }, "vault: "},
		"a request of another kind":            {nil, func(f *carry.Appeal) { f.Request = veto }, "request: "},
		"a request signed by another guardian": {nil, func(f *carry.Appeal) { f.Request.Signatures = [][]byte{veto.Signatures[0]} }, "sos-request"},
		"no key":                               {nil, func(f *carry.Appeal) { f.Keys = nil }, "keys: the file has 0"},
		"a certificate altered":                {nil, func(f *carry.Appeal) { f.Keys[0].Certificate = flip(f.Keys[0].Certificate) }, "key "},
		"guardians altered":                    {nil, func(f *carry.Appeal) { f.Keys[0].Plan = flip(f.Keys[0].Plan) }, "key "},
		"a set altered":                        {nil, func(f *carry.Appeal) { f.Keys[0].Set = flip(f.Keys[0].Set) }, "damaged"},
		"a step of another node":               {[]carry.Signed{v.Resigned(v.Step(0, contest, v.Made), 1)}, nil, "statement 1"},
		"a veto of another":                    {[]carry.Signed{{Statement: veto.Statement, Signatures: [][]byte{v.Veto(2).Signatures[0]}}}, nil, "statement 1"},
		"a statement of no place":              {[]carry.Signed{v.File().Request}, nil, "no place"},
		"a contributor's signature missing":    {[]carry.Signed{v.Resigned(v.Activation(nil), 1)}, nil, "contributor operator-0"},
		"the subject's for a contributor's":    {[]carry.Signed{v.Resigned(v.Activation(nil), 1, 2)}, nil, "contributor operator-0"},
		"an activation altered":                {[]carry.Signed{{Statement: bytes.Replace(v.Activation(nil).Statement, []byte("attempt: 1"), []byte("attempt: 7"), 1), Signatures: v.Activation(nil).Signatures}}, nil, "contributor"},
		"two activations":                      {[]carry.Signed{v.Activation(nil), v.Activation(func(a *act.Activation) { a.Attempt = 2 })}, nil, "has two"},
		"another epoch":                        {with(func(a *act.Activation) { a.Epoch[0] ^= 1 }), nil, "none of the request's"},
		"another request":                      {with(func(a *act.Activation) { a.Request[0] ^= 1 }), nil, "it is about request"},
		"in earnest":                           {with(func(a *act.Activation) { a.Drill = false }), nil, "it is about request"},
		"another charter":                      {with(func(a *act.Activation) { a.Charter[0] ^= 1 }), nil, "it is about request"},
		"another vault":                        {with(func(a *act.Activation) { a.Vault[0] ^= 1 }), nil, "it is about request"},
		"another's party":                      {with(func(a *act.Activation) { a.Members[0].Party[0] ^= 1 }), nil, "party: not the operator's"},
		"a used index":                         {with(func(a *act.Activation) { a.Members[0].Index = 9 }), nil, "index"},
		"a key of low order":                   {with(func(a *act.Activation) { a.Members[0].Encryption = [32]byte{1} }), nil, "encryption"},
		"a key that no node announced":         {with(func(a *act.Activation) { a.Members[0].Encryption = v.Other() }), nil, "did not announce"},
		"a key of another attempt":             {with(func(a *act.Activation) { a.Attempt = 3 }), nil, "did not announce"},
		"no seats":                             {nil, func(f *carry.Appeal) { f.Said = []carry.Signed{v.Activation(nil)} }, "did not announce"},
		"a seat signed by another":             {[]carry.Signed{v.Resigned(v.Seat(0, 1, nil), 1)}, nil, "statement 1"},
		"a seat of another request":            {[]carry.Signed{v.Seat(0, 1, func(s *act.Seat) { s.Request[0] ^= 1 })}, nil, "it is about request"},
		"a stranger in the new committee":      {with(func(a *act.Activation) { a.Members[1].Operator = "stranger" }), nil, "no operator of the circle"},
	} {
		t.Run(name, func(t *testing.T) {
			f := v.File(x.said...)
			again, err := carry.DecodeAppeal(f.Bytes()) // a copy
			if err != nil {
				t.Fatal(err)
			}
			if x.edit != nil {
				x.edit(&again)
			}
			if _, err := appeal.Read(again); err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%v, want %q", err, x.want)
			}
		})
	}
}

func mayRefuses(t *testing.T, v *appealtest.Vault) {
	contest, usual, end := sos.Contest.String(), v.Usual(), v.Made.Add(appealtest.Delay)
	more := func(s ...carry.Signed) []carry.Signed { return append(append([]carry.Signed{}, usual...), s...) }
	last := v.Made.Add(2*appealtest.Delay + sos.Slack + time.Hour)
	for name, x := range map[string]struct {
		said      []carry.Signed
		seen, now time.Time
		want      error
	}{
		"in time":                                   {usual, v.Made, end, nil},
		"one second early":                          {usual, v.Made, end.Add(-time.Second), sos.ErrEarly},
		"seen a second later":                       {usual, v.Made.Add(time.Second), end, sos.ErrEarly},
		"a contributor's delay is later":            {[]carry.Signed{usual[0], usual[1], v.Step(1, contest, v.Made.Add(time.Second))}, v.Made, end, sos.ErrEarly},
		"a contributor was rolled back":             {more(v.Step(1, contest, v.Made.Add(time.Second))), v.Made, end, sos.ErrEarly},
		"a contributor dates its step a week ahead": {[]carry.Signed{usual[0], usual[1], v.Step(1, contest, v.Made.Add(7*24*time.Hour))}, v.Made, end, nil},
		"beside the true one":                       {more(v.Step(1, contest, v.Made.Add(7*24*time.Hour)), v.Step(1, contest, v.Made.Add(time.Second))), v.Made, end, sos.ErrEarly},
		"both do":                                   {[]carry.Signed{usual[0], v.Step(0, contest, v.Made.Add(7*24*time.Hour)), v.Step(1, contest, v.Made.Add(7*24*time.Hour))}, v.Made, end, sos.ErrEarly},
		"ahead of this clock, and of the others by the skew": {[]carry.Signed{usual[0], usual[1], v.Step(1, contest, end.Add(act.Skew))}, v.Made, end, sos.ErrEarly},
		"ahead by more":                    {[]carry.Signed{usual[0], usual[1], v.Step(1, contest, end.Add(act.Skew+time.Second))}, v.Made, end, nil},
		"a contributor shows no step":      {usual[:2], v.Made, end, sos.ErrEarly},
		"a contributor shows another step": {[]carry.Signed{usual[0], usual[1], v.Step(1, sos.Declared.String(), v.Made)}, v.Made, end, sos.ErrEarly},
		"the last second":                  {usual, v.Made, last.Add(-time.Second), nil},
		"late":                             {usual, v.Made, last, sos.ErrLate},
		"no activation":                    {usual[1:], v.Made, end, appeal.ErrUnsigned},
		"one veto":                         {more(v.Veto(0)), v.Made, end, nil},
		"one veto, shown twice":            {more(v.Veto(0), v.Veto(0)), v.Made, end, nil},
		"enough vetoes":                    {more(v.Veto(0), v.Veto(2)), v.Made, end, sos.ErrVetoed},
		"own veto":                         {more(v.Veto(1)), v.Made, end, appeal.ErrOwnVeto},
		"the subject is a member":          {[]carry.Signed{v.Activation(func(a *act.Activation) { a.Members[1].Operator, a.Members[1].Party, a.Members[1].Index = v.Lost() }), v.Resigned(v.Seat(1, 1, func(s *act.Seat) { s.Operator = "operator-2" }), 2), usual[1], usual[2]}, v.Made, end, sos.ErrPlan},
		"too few contributors":             {[]carry.Signed{v.Activation(func(a *act.Activation) { a.Contributors = a.Contributors[:1] }), usual[1], usual[2]}, v.Made, end, sos.ErrPlan},
	} {
		a := read(t, v.File(x.said...))
		g, _ := a.Plan.Guardian("guardian-1")
		if err := a.May(g, x.seen, x.now); !errors.Is(err, x.want) || x.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, x.want)
		}
	}
	a := read(t, v.File(usual...))
	if err := a.Pinned([32]byte{1}); !errors.Is(err, appeal.ErrUnpinned) {
		t.Errorf("another charter: %v", err)
	}
	if _, _, err := a.Answer(v.Guardian(3), rand.Reader); !errors.Is(err, appeal.ErrNotYours) {
		t.Errorf("a foreign key file: %v", err)
	}
	if _, _, err := a.Answer(guardian.Key{}, rand.Reader); err == nil {
		t.Error("no key answers")
	}
	if from, until, err := a.Term(v.Made, end); err != nil || !from.Equal(end) || !until.Equal(last) {
		t.Errorf("term %s to %s (%v)", from, until, err)
	}
}

// Who is alive and answers is not lost: an appeal that shows both ends with it, where silence or a refusal is the reason. A subject that is wound up may live, and answer, and even be for
// it: then it goes on.
func lives(t *testing.T, v *appealtest.Vault) {
	silent := v.Silence()
	for name, x := range map[string]struct {
		v    *appealtest.Vault
		more []carry.Signed
		want error
	}{
		"nothing of it":           {silent, nil, nil},
		"it lives":                {silent, []carry.Signed{silent.Alive()}, nil},
		"the vault signed":        {silent, []carry.Signed{silent.Tested()}, nil},
		"both":                    {silent, []carry.Signed{silent.Tested(), silent.Alive()}, sos.ErrVetoed},
		"both, and it is legal":   {v, []carry.Signed{v.Tested(), v.Alive()}, nil},
		"both, twice, and a veto": {silent, []carry.Signed{silent.Veto(1), silent.Alive(), silent.Tested(), silent.Alive()}, sos.ErrVetoed},
	} {
		a := read(t, x.v.File(append(x.v.Usual(), x.more...)...))
		card, err := v.Guardian(2).Card()
		if err != nil {
			t.Fatal(err)
		}
		g, err := a.Who(card)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.May(g, v.Made, v.Made.Add(appealtest.Delay)); !errors.Is(err, x.want) || x.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, x.want)
		}
	}
	signed := silent.Veto(1).Signatures
	for name, x := range map[string]carry.Signed{
		"a proof of life for another request": v.Alive(),
		"a signature for another request":     v.Tested(),
		"a proof of life that was altered":    {Statement: bytes.Replace(silent.Alive().Statement, []byte("created: 2027-01-15T08:00:00Z"), []byte("created: 2027-01-15T08:00:01Z"), 1)},
		"a proof of another's life":           {Statement: bytes.Replace(silent.Alive().Statement, []byte("operator: operator-2"), []byte("operator: operator-1"), 1)},
		"a signed proof of life":              {Statement: silent.Alive().Statement, Signatures: signed},
		"a signed signature":                  {Statement: silent.Tested().Statement, Signatures: signed},
		"a veto that nobody signed":           {Statement: silent.Veto(1).Statement},
	} {
		again, err := carry.DecodeAppeal(silent.File(x).Bytes())
		if err == nil {
			_, err = appeal.Read(again)
		}
		if err == nil {
			t.Errorf("%s is read", name)
		}
	}
}

func checkRefuses(t *testing.T, v *appealtest.Vault) {
	a := read(t, v.File(v.Usual()...))
	good, _, err := a.Answer(v.Guardian(1), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*carry.Contribution){
		"another request":    func(c *carry.Contribution) { c.Request[0] ^= 1 },
		"another activation": func(c *carry.Contribution) { c.Parts[0].Activation[0] ^= 1 },
		"another guardian":   func(c *carry.Contribution) { c.Guardian = "guardian-0" },
		"a stranger":         func(c *carry.Contribution) { c.Guardian = "guardian-9" },
		"altered":            func(c *carry.Contribution) { c.Parts[0].Contribution = flip(c.Parts[0].Contribution) },
		"cut":                func(c *carry.Contribution) { c.Parts[0].Contribution = c.Parts[0].Contribution[:100] },
	} {
		c, err := carry.DecodeContribution(good.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		edit(&c)
		if a.Check(c) == nil {
			t.Errorf("%s: it holds", name)
		}
	}
}
