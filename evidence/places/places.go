package places

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/control"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/attest"
)

// Bounds of evidence that somebody hands in.
const (
	MaxFiles = 256       // of one shelf or bundle
	MaxFile  = 128 << 10 // bytes of one
	maxName  = 64        // characters of a file's name
)

// Kept is how long a cloud's document counts after it was signed. A sighting says itself until when it does.
const Kept = 31 * 24 * time.Hour

// skew is how far another's clock may be before ours.
const skew = 5 * time.Minute

// A File is one document or sighting, and the place that it stands under: OPERATOR/PLACE/FILE.
type File struct {
	Operator, Place string
	Name            string // for people: where it was found
	Content         []byte
	Err             error // why it could not be read; nil: it was
}

// ErrAbsent says that a file is listed, and is not there.
var ErrAbsent = errors.New("it is listed, and not there")

// CheckName holds a file's own name to one form: it becomes a path.
func CheckName(name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if name == "" || len(name) > maxName || name[0] == '.' || strings.Trim(name, letters+"._-") != "" {
		return fmt.Errorf("%.80q is no name of a file of evidence: 1 to %d letters, digits, dots, hyphens and underscores, not a dot first", name, maxName)
	}
	return nil
}

// Trust is what whoever judges believes. Nothing of it comes from who hands evidence in.
type Trust struct {
	Keys        attest.Keys             // Google's, of the documents' days
	Regions     attest.Regions          // AWS's certificates
	Authorities attest.Authorities      // above Azure's signers
	Sighters    map[string][]signet.Key // who may sign sightings, by the name that these give as their witness
}

// Pinned is what this program carries: certificates of AWS and Azure, and no names.
func Pinned() (t Trust, err error) {
	if t.Regions, err = attest.PinnedRegions(); err == nil {
		t.Authorities, err = attest.PinnedAuthorities()
	}
	return t, err
}

// A State says what becomes of a file.
type State uint8

// States.
const (
	Holds    State = iota // and what it says is as the charter says
	Old                   // it held, and does not count any more, or not as of that time
	Unjudged              // whoever judges lacks what could tell
	Fails                 // it does not hold, or says otherwise than the charter
)

// A Finding is one file, judged.
type Finding struct {
	File            string // its name
	Operator, Place string
	State           State
	Fields          []string  // of the place that it bears out, in the charter's order; none of a document that names no node
	By              string    // who signed: "Google Cloud", "audra of Auditors LLP"
	AsOf            time.Time // when it was signed
	Until           time.Time // it counts before then
	Why             string    // of every state but Holds
	Needs           string    // what whoever judges could do about it; "" if nothing
}

// Where is the place's name: OPERATOR/PLACE.
func (f Finding) Where() string { return f.Operator + "/" + f.Place }

// Fields of a place, in the order of the charter, and the kinds of domains that they name.
var fields = []struct {
	name string
	kind control.Kind
	of   func(*charter.Place) *string // nil: access, a list
}{
	{attest.FieldProvider, control.Provider, func(p *charter.Place) *string { return &p.Provider }},
	{attest.FieldAccount, control.Account, func(p *charter.Place) *string { return &p.Account }},
	{attest.FieldRegion, control.Region, func(p *charter.Place) *string { return &p.Region }},
	{"jurisdiction", control.Jurisdiction, func(p *charter.Place) *string { return &p.Jurisdiction }},
	{"hardware", control.Hardware, func(p *charter.Place) *string { return &p.Hardware }},
	{Access, control.Person, nil},
}

// Access is the field of all people who reach a place.
const Access = "access"

// Said are the fields of which a charter's place says something, in order.
func Said(p charter.Place) (names []string) {
	for _, f := range fields {
		if Text(p, f.name) != "" {
			names = append(names, f.name)
		}
	}
	return names
}

// Text is what a place says in a field; of access all names.
func Text(p charter.Place, field string) string {
	if to := At(&p, field); to != nil {
		return *to
	}
	if field == Access {
		return strings.Join(p.Access, ", ")
	}
	return ""
}

// At is where a place keeps a field; nil for access and for what is no field.
func At(p *charter.Place, field string) *string {
	for _, f := range fields {
		if f.name == field && f.of != nil {
			return f.of(p)
		}
	}
	return nil
}

// Mark notes in a structure which of its claims findings bear out.
func Mark(s *control.Structure, all []Finding) {
	for _, x := range all {
		for _, f := range fields {
			if x.State == Holds && slices.Contains(x.Fields, f.name) {
				s.Hold(x.Where(), f.kind, control.Attested)
			}
		}
	}
}

// Judge judges files against a charter, in their order. Each document is judged as of when it was signed, and counts for Kept from then on; if at
// is given, all are as of that time instead.
func (t Trust) Judge(files []File, d charter.Document, now, at time.Time) (out []Finding) {
	for _, f := range files {
		x := Finding{File: f.Name, Operator: f.Operator, Place: f.Place}
		o, known := d.Station(f.Operator)
		i := slices.IndexFunc(o.Places, func(p charter.Place) bool { return p.Name == f.Place })
		switch {
		case !known || i < 0:
			x.unjudged("the charter has no such place", "ask who handed it in to take it away")
		case errors.Is(f.Err, ErrAbsent):
			x.unjudged(f.Err.Error(), "ask who published the list")
		case f.Err != nil:
			x.fails(f.Err)
		case len(f.Content) > MaxFile:
			x.fails(fmt.Errorf("it has %d bytes, at most %d are read", len(f.Content), MaxFile))
		case IsSighting(f.Content):
			t.sighting(&x, f, d, o.Places[i], clock{now, at})
		default:
			t.document(&x, f, o, o.Places[i], clock{now, at})
		}
		out = append(out, x)
	}
	return out
}

// Left are files that are listed and not judged here: where nothing can be, such as in a browser.
func Left(files []File, why string) (out []Finding) {
	for _, f := range files {
		x := Finding{File: f.Name, Operator: f.Operator, Place: f.Place}
		x.unjudged(why, "")
		out = append(out, x)
	}
	return out
}

func (x *Finding) fails(err error) { x.State, x.Why, x.Fields = Fails, err.Error(), nil }
func (x *Finding) old(why string)  { x.State, x.Why, x.Fields = Old, why, nil }
func (x *Finding) unjudged(why, needs string) {
	x.State, x.Why, x.Needs, x.Fields = Unjudged, why, needs, nil
}
func (x *Finding) within(from, to time.Time) { x.AsOf, x.Until = from.UTC(), to.UTC() }
func (x *Finding) agrees(names []string)     { x.Fields = inOrder(names) }
func (x *Finding) drifts(names []string, saw, says charter.Place) {
	var all []string
	for _, f := range inOrder(names) {
		all = append(all, fmt.Sprintf("%s (seen: %s; the charter says: %s)", f, Text(saw, f), Text(says, f)))
	}
	text := fmt.Sprintf("it says otherwise than the charter of %s: %s", x.Where(), strings.Join(all, ", "))
	if !x.AsOf.IsZero() {
		text += ", as of " + statement.FormatTime(x.AsOf)
	}
	x.fails(errors.New(text))
}

func inOrder(names []string) (out []string) {
	for _, f := range fields {
		if slices.Contains(names, f.name) {
			out = append(out, f.name)
		}
	}
	return out
}

// A clock is by what time evidence is judged.
type clock struct {
	now time.Time
	at  time.Time // zero: each as of when it was signed
}

func (c clock) time() time.Time {
	if c.at.IsZero() {
		return c.now
	}
	return c.at
}
