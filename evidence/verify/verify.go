package verify

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/places"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/vetted"
)

// Options are what the verifier is given besides the logs.
type Options struct {
	Now    time.Time    // by whose clock: it decides what is late or has expired
	Circle statement.ID // of version 0 of the roster, from elsewhere; zero: whichever the logs show
	// Witnesses are those outside the circle whose cosignatures count.
	Witnesses []tlog.Witness
	// Seen are checkpoints that these logs signed before, as the reader remembers them: each log must have grown from its own.
	Seen [][]byte
	// Grace is how long what one log tells may be missing in another: notes may be on their way. 0: an hour.
	Grace time.Duration
	// Release finds the release that maintainers signed and that has a program of this SHA-256; "" if there is none. May be nil.
	Release func(binary [32]byte) string
	// Evidence judges what clouds and third parties signed of places, against the charter in force; nil: there is none. It comes as a function, so that
	// a browser, which holds no keys for it, does not carry what it takes.
	Evidence func(charter.Document) []places.Finding
	// Vetted judges a record of a node's hardware anew, by what a charter demanded; nil: nobody does. It is a function as Evidence is.
	Vetted func(vetted.Record, charter.Demand) error
	// Encryptions is how many of second sharings are checked at most, 13 ms each at a desk and several times that in a browser; 0: all. What is not checked is said to
	// be no more than declared.
	Encryptions int
	// Progress is told how far the reading is; its error ends it. May be nil.
	Progress func(Progress) error
}

// Progress says how far the reading is.
type Progress struct {
	Source  string
	Read    int64 // leaves of this log
	Of      int64
	Entries int // of all logs before
	Verdict string
}

const defaultGrace = time.Hour

type verifier struct {
	Options
	report     *Report
	kinds      map[string]string
	docs       map[[32]byte]*doc
	named      map[[32]byte][]naming           // bodies under ids that others gave: signed transactions
	about      map[[32]byte][][32]byte         // bodies by what they are about
	paired     map[[2][32]byte]bool            // what stands in about
	order      []*doc                          // docs as they were found
	byKind     map[statement.Kind][]*doc       // and those that are statements, once all are read
	logs       []*history                      // of operators, of each its present one
	copies     []*history                      // further copies of logs, which must agree with those
	rosters    charter.Chain                   //
	history    charter.History                 //
	revoked    map[string]time.Time            // by a person's key: when it was first seen to be
	vaults     []*vault                        //
	decisions  map[[2][32]byte][]spot          // by what leaves say they are on, and id; once one is elsewhere
	epochs     map[[32]byte][]time.Time        // by record: when logs first told that it is in force
	seen       map[string]map[string]time.Time // by operator: by whose log: the last sign of life
	unknown    map[[32]byte]time.Time          // keys that heartbeats name and no log shows, or an epoch of theirs: since when
	bare       map[[32]byte]bool               // requests of which a log tells something that no log shows
	announced  map[string]tlog.Keys            // by origin: the keys that identities signed
	lastQuoted map[string]quoted               // by origin: the largest head that another log names, beyond what is shown
	cosigned   map[*history][]Cosigned         //
	found      []places.Finding                // evidence of places, judged
	went       []*request                      // that were signed
	signatures int
	unread     []string // sources that could not be read
}

// quoted is a head of one log as another operator named it.
type quoted struct {
	tlog.Head
	by string
	at time.Time
}

// A LagError says that a log is shown smaller than others have seen it: whoever fetches should fetch it again.
type LagError struct {
	Origin, Operator string
	Shown, Seen      int64
	By               string
}

func (e *LagError) Error() string {
	return fmt.Sprintf("the log of %s is shown with %d entries, and %s saw %d: an old checkpoint is shown, or the newest entries are kept back", e.Operator, e.Shown, e.By, e.Seen)
}

// Verify checks all that the sources show. It returns an error only if Progress ended it: what is wrong stands in the report.
func Verify(sources []Source, o Options) (*Report, error) {
	if o.Grace == 0 {
		o.Grace = defaultGrace
	}
	v := &verifier{
		Options: o, report: &Report{Time: o.Now.UTC().Truncate(time.Second)}, kinds: map[string]string{}, docs: map[[32]byte]*doc{}, named: map[[32]byte][]naming{},
		about: map[[32]byte][][32]byte{}, paired: map[[2][32]byte]bool{}, revoked: map[string]time.Time{}, announced: map[string]tlog.Keys{}, lastQuoted: map[string]quoted{}, cosigned: map[*history][]Cosigned{}, seen: map[string]map[string]time.Time{}, unknown: map[[32]byte]time.Time{}, bare: map[[32]byte]bool{},
	}
	for _, s := range sources {
		h, err := v.read(s)
		var stop *stopError
		switch {
		case errors.As(err, &stop):
			return v.report, stop.error
		case err != nil:
			v.report.fail("log at "+s.Name, "it can be read whole, and is what was signed", err.Error())
			v.unread = append(v.unread, s.Name)
			continue
		}
		v.report.Entries += len(h.leaves)
		v.take(h)
	}
	v.checkCircle()
	if len(v.rosters) > 0 {
		v.checkLogs()
		v.checkVaults()
		v.checkBackups()
		v.checkHeartbeats()
		v.checkVetted()
		v.checkBodies()
		v.checkRequests()
		v.checkEmergencies()
		v.checkSignatures()
		v.reconcile()
		v.summarise()
	}
	v.report.Signatures = v.signatures
	v.report.unread = len(v.unread)
	v.report.covered, v.report.grace, v.report.byID = v.covers(), o.Grace, map[[32]byte][]int{}
	v.report.born = v.born()
	for i, s := range v.report.signed {
		v.report.byID[s.id] = append(v.report.byID[s.id], i)
	}
	v.report.finish()
	return v.report, nil
}

// take keeps a log that was read: the largest copy of each, and the others to be held against it.
func (v *verifier) take(h *history) {
	i := slices.IndexFunc(v.logs, func(o *history) bool { return o.keys.Origin == h.keys.Origin })
	switch {
	case i < 0:
		v.logs = append(v.logs, h)
	case len(v.logs[i].leaves) < len(h.leaves):
		v.copies = append(v.copies, v.logs[i])
		v.logs[i] = h
	default:
		v.copies = append(v.copies, h)
	}
}

type stopError struct{ error }

func (v *verifier) progress(h *history, n int64) error {
	if v.Progress == nil {
		return nil
	}
	verdict := "nothing is wrong so far"
	if v.report.Failed {
		verdict = v.report.Claims[0].Failed
	}
	if err := v.Progress(Progress{h.source, n, h.checkpoint.Head.Size, v.report.Entries, verdict}); err != nil {
		return &stopError{err}
	}
	return nil
}

// statements are the docs of a kind, as they were found.
func (v *verifier) statements(k statement.Kind) (out []*doc) {
	if v.byKind == nil {
		v.byKind = map[statement.Kind][]*doc{}
		for _, d := range v.order {
			line, _, _ := bytes.Cut(d.content[:min(len(d.content), 64)], []byte("\n"))
			if kind, ok := bytes.CutPrefix(line, []byte("ostraka/1 ")); ok {
				v.byKind[statement.Kind(kind)] = append(v.byKind[statement.Kind(kind)], d)
			}
		}
	}
	for _, d := range v.byKind[k] {
		if _, ok := d.as(k); ok {
			out = append(out, d)
		}
	}
	return out
}

// signaturesOf are all signatures over a statement that any log shows: those beside it, and those told of later.
func (v *verifier) signaturesOf(d *doc, kinds ...string) []*signature {
	out := slices.Clone(d.signatures)
	for _, id := range v.about[d.statement.ID()] {
		if s := v.docs[id]; s != nil && s.is(kinds...) {
			out = append(out, &signature{bytes: s.content})
		}
	}
	return out
}

// accepted puts officers' signatures to a statement: of each operator concerned the first that holds.
func (v *verifier) accepted(d *doc, by []charter.Acceptor) charter.Accepted {
	a := charter.Accepted{Statement: d.statement}
	for _, sig := range v.signaturesOf(d, tlog.KindSignature) {
		if len(sig.bytes) == nodeSignature {
			continue
		}
		v.signatures++
		if next, _, err := a.Add(by, sig.bytes); err == nil {
			a, sig.holds = next, true
		}
	}
	return a
}

const nodeSignature = 64 // bytes of a node's own
