package rescue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// A Said is what was said of a request, as everybody may see it. Signatures is empty for what proves itself; of what several sign, it is their
// signatures so far, and By names them, ascending.
type Said struct {
	Statement  statement.Statement
	By         []string
	Signatures [][]byte
}

// A word is one statement with one signature. Each says one thing once: a place takes the first word of a node, and the last of a person.
type word struct {
	request statement.ID
	said    statement.Statement
	by      string // who signed; "" where the statement says so itself
	sig     []byte
	seat    *act.Seat // of a statement of one: read once, since its proof is verified each time
}

func newWord(said statement.Statement, by string, sig []byte) word {
	w := word{request: requestOf(said), said: said, by: by, sig: sig}
	if said.Kind() == statement.SOSSeat {
		if v, err := act.SeatOf(said); err == nil {
			w.seat = &v
		}
	}
	return w
}

// words are what a vault's requests brought, by place.
type words map[[32]byte]word

// places say what makes two statements of a kind about one request two, besides who signs: whoever says much has few places, and cannot fill the store.
var places = map[statement.Kind][]string{
	statement.SOSRequest: nil, statement.SOSClose: nil, statement.SOSEarlyRelease: nil,
	statement.SOSSupport: {"role", "by"}, statement.SOSVeto: {"by"},
	statement.SOSAlive: {"operator"}, statement.SOSSigned: {"operator"}, statement.SOSStep: {"operator", "state"},
	statement.SOSSeat: {"operator", "key", "attempt"}, statement.SOSActivation: {"key", "attempt"}, statement.SOSReleased: {"operator", "activation"},
}

// placeOf is where a word is kept.
func placeOf(s statement.Statement, by string) [32]byte {
	id := requestOf(s)
	h := transcript.New(transcript.SOSPlace).Bytes([]byte(s.Kind())).Bytes(id[:]).Bytes([]byte(by))
	for _, name := range places[s.Kind()] {
		h.Bytes([]byte(s.Fields().Get(name)))
	}
	return h.Sum256()
}

// sticks says of which kinds a node's first word in a place is its only one: another would be for other bytes.
func sticks(k statement.Kind) bool {
	return k == statement.SOSActivation || k == statement.SOSSeat || k == statement.SOSReleased
}

func requestOf(s statement.Statement) statement.ID {
	if s.Kind() == statement.SOSRequest {
		return s.ID()
	}
	return s.Fields().ID("request")
}

func saidKey(vault statement.ID, place [32]byte) string {
	return store.Key(kindSaid, store.ID(vault[:]), store.ID(place[:]))
}

// ErrTwoWords says that a node signed two things where it may sign one.
var ErrTwoWords = errors.New("its node signed something else before")

// keep puts a word in its place. What it returns is the same in memory, once the entry is durable.
func (d *Desk) keep(vault statement.ID, s statement.Statement, by string, sig []byte, e *journal.Entry) (then func(), err error) {
	place := placeOf(s, by)
	if old, taken := d.words[vault][place]; taken && sticks(s.Kind()) && old.said.ID() != s.ID() {
		return nil, fmt.Errorf("%s %s: %w", s.Kind(), s.ID().Short(), ErrTwoWords)
	}
	w := newWord(s, by, bytes.Clone(sig))
	e.Put = append(e.Put, store.Entry{Key: saidKey(vault, place), Value: w.bytes()})
	return func() {
		if d.words[vault] == nil {
			d.words[vault] = words{}
		}
		d.words[vault][place] = w
	}, nil
}

func (w word) bytes() []byte {
	return outbox.Note{Kind: NoteSaid, Fields: [][]byte{w.said.Bytes(), w.sig, []byte(w.by)}}.Encode()
}

func decodeWord(raw []byte) (w word, err error) {
	n, err := outbox.Decode(raw)
	if err != nil {
		return w, err
	}
	if n.Kind != NoteSaid || len(n.Fields) != 3 {
		return w, errors.New("it is no statement with a signature")
	}
	said, err := statement.Parse(n.Fields[0])
	if err != nil {
		return w, err
	}
	return newWord(said, string(n.Fields[2]), n.Fields[1]), nil
}

// readWords reads back what was said.
func (d *Desk) readWords(ctx context.Context) error {
	return d.each(ctx, kindSaid, func(name string, value []byte) error {
		w, err := decodeWord(value)
		if err != nil {
			return err
		}
		vault := w.said.Fields().ID("vault")
		if place := placeOf(w.said, w.by); saidKey(vault, place) != store.Prefix(kindSaid)+name {
			return errors.New("it stands in another's place")
		}
		if d.words[vault] == nil {
			d.words[vault] = words{}
		}
		d.words[vault][placeOf(w.said, w.by)] = w
		return nil
	})
}

// Said is all that was said of a vault's requests, in the order of time.
func (d *Desk) Said(_ context.Context, vault statement.ID) []Said {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.said(vault)
}

func (d *Desk) said(vault statement.ID) (all []Said) {
	at := map[statement.ID]int{}
	var ordered []word
	for _, w := range d.words[vault] {
		ordered = append(ordered, w)
	}
	slices.SortFunc(ordered, func(a, b word) int {
		x, y := a.said.ID(), b.said.ID()
		if n := a.said.Fields().Time("created").Compare(b.said.Fields().Time("created")); n != 0 {
			return n
		}
		if n := bytes.Compare(x[:], y[:]); n != 0 {
			return n
		}
		return bytes.Compare([]byte(a.by), []byte(b.by))
	})
	for _, w := range ordered {
		i, known := at[w.said.ID()]
		if !known {
			i = len(all)
			at[w.said.ID()], all = i, append(all, Said{Statement: w.said})
		}
		if len(w.sig) > 0 {
			all[i].Signatures = append(all[i].Signatures, bytes.Clone(w.sig))
		}
		if w.by != "" {
			all[i].By = append(all[i].By, w.by)
		}
	}
	return all
}

// signedBy are the signatures over a statement that several sign, by operator.
func (d *Desk) signedBy(vault, id statement.ID) map[string][]byte {
	sigs := map[string][]byte{}
	for _, w := range d.words[vault] {
		if w.said.ID() == id && w.by != "" {
			sigs[w.by] = w.sig
		}
	}
	return sigs
}

// gather finds who of these signed a statement that several sign.
func gather(s statement.Statement, names []string, check func(name string) error) (by string, err error) {
	for _, name := range names {
		if err = check(name); err == nil {
			return name, nil
		}
	}
	return "", fmt.Errorf("%s %s: none of %v signed it: %w", s.Kind(), s.ID().Short(), names, signet.ErrStranger)
}

// signer finds who signed, of a statement that several sign; "" of what one signs.
func (d *Desk) signer(c sos.Case, s statement.Statement, sig []byte) (string, error) {
	p := c.Plan()
	switch s.Kind() {
	case statement.SOSActivation:
		a, err := act.ActivationOf(s)
		if err != nil {
			return "", err
		}
		return gather(s, a.Contributors, func(name string) error {
			o, ok := p.Anyone(name)
			if !ok {
				return fmt.Errorf("operator %s is not of the circle", name)
			}
			return signet.VerifyNode(o.Identity, s, sig)
		})
	case statement.SOSClose, statement.SOSEarlyRelease:
		check := func(name string) error {
			o, ok := p.Anyone(name)
			if !ok {
				return fmt.Errorf("operator %s is not of the circle", name)
			}
			_, err := signet.Verify(sig, signet.Makes(s.Kind()), s.Bytes(), o.Officers)
			return err
		}
		by, err := gather(s, c.Committee(), check)
		if err == nil || len(c.Left()) == 0 {
			return by, err
		}
		// A key has no new shares that this node knows of: the record may be on its way, and who signed may be of its committee.
		for _, o := range slices.Concat(p.Operators, p.Others) {
			if check(o.Name) == nil && c.MaySit(o.Name) == nil {
				return "", fmt.Errorf("%s %s: %w: %s is of no new committee that is known here", s.Kind(), s.ID().Short(), sos.ErrEarly, o.Name)
			}
		}
		return "", err
	}
	return "", nil
}
