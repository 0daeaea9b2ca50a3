package intent

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// maxName bounds hashes and ids from chains, in bytes.
const maxName = 128

// Fields of an encoded life.
const (
	tagIntent transcript.Tag = iota + 1
	tagState
	tagChanged
	tagVotes
	tagDecisions
	tagSession
	tagSigners
	tagAttempts
	tagUnknown
	tagHash
	tagOverrode
	tagHeight
	tagBlock
	tagReverted
	tagBy
	tagClosed
	tagBoth
)

// Fields of a vote or a decision within it.
const (
	tagName transcript.Tag = iota + 1
	tagWord
	tagKey
	tagFlags
	tagCounter
)

// Bytes is the one encoding of a life, for a node's own store (spec/statements 6.3). It
// leaves out the intent and the vault, which are statements of their own.
func (l Life) Bytes() []byte {
	var e transcript.Encoder
	e.Bytes(tagIntent, l.id[:]).Uint(tagState, uint64(l.state)).Uint(tagChanged, uint64(l.changed.Unix()))
	e.List(tagVotes, len(l.votes), func(i int, e *transcript.Encoder) {
		v := l.votes[i]
		e.String(tagName, v.Person).String(tagWord, string(v.Verb)).String(tagKey, v.Key.String())
		e.Uint(tagFlags, bits(v.Flags.SecurityKey, v.Flags.Present, v.Flags.Verified)).Uint(tagCounter, uint64(v.Flags.Counter))
	})
	names := slices.Sorted(maps.Keys(l.decisions))
	e.List(tagDecisions, len(names), func(i int, e *transcript.Encoder) {
		e.String(tagName, names[i]).String(tagWord, string(l.decisions[names[i]]))
	})
	e.Bytes(tagSession, l.session[:])
	e.List(tagSigners, len(l.signers), func(i int, e *transcript.Encoder) { e.String(tagName, l.signers[i]) })
	e.Uint(tagAttempts, uint64(l.attempts)).Uint(tagUnknown, bits(l.unknown)).String(tagHash, l.hash)
	e.Uint(tagOverrode, uint64(l.overrode)).Uint(tagHeight, l.height).String(tagBlock, l.block)
	e.Uint(tagReverted, bits(l.reverted)).String(tagBy, l.by)
	if l.closed.IsZero() {
		e.Uint(tagClosed, 0)
	} else {
		e.Uint(tagClosed, uint64(l.closed.Unix()))
	}
	e.List(tagBoth, len(l.both), func(i int, e *transcript.Encoder) { e.String(tagName, l.both[i]) })
	return e.Sum()
}

func bits(flags ...bool) (v uint64) {
	for i, f := range flags {
		if f {
			v |= 1 << i
		}
	}
	return v
}

// DecodeLife reads what Bytes wrote for this intent under this vault.
func DecodeLife(b []byte, s statement.Statement, v charter.Vault) (Life, error) {
	l, err := New(s, v, time.Time{})
	if err != nil {
		return Life{}, err
	}
	d := transcript.NewDecoder(b)
	if id := d.Fixed(tagIntent, 32); d.Err() == nil && statement.ID(id) != l.id {
		d.Fail(tagIntent, fmt.Errorf("is %x…, not %s", id[:4], l.id.Short()))
	}
	l.state = State(d.Uint(tagState, numStates-1))
	l.changed = time.Unix(int64(d.Uint(tagChanged, 1<<40)), 0).UTC()
	d.List(tagVotes, 0, 2*statement.MaxPeople, func(_ int, d *transcript.Decoder) {
		l.votes = append(l.votes, decodeVote(d, l.id))
	})
	l.decisions = map[string]Verdict{}
	last := ""
	d.List(tagDecisions, 0, statement.MaxOperators, func(_ int, d *transcript.Decoder) {
		name, word := decodeLabel(d), Verdict(d.String(tagWord, 8))
		if d.Err() == nil && (name <= last || word != Allow && word != Deny) {
			d.Fail(tagWord, errors.New("decision is out of order or neither allow nor deny"))
		}
		last = name
		l.decisions[name] = word
	})
	copy(l.session[:], d.Fixed(tagSession, 32))
	d.List(tagSigners, 0, statement.MaxOperators, func(_ int, d *transcript.Decoder) {
		l.signers = append(l.signers, decodeLabel(d))
	})
	l.attempts = int(d.Uint(tagAttempts, MaxAttempts))
	l.unknown = d.Uint(tagUnknown, 1) == 1
	l.hash = decodeName(d, tagHash)
	l.overrode = State(d.Uint(tagOverrode, numStates-1))
	l.height = d.Uint(tagHeight, 1<<63)
	l.block = decodeName(d, tagBlock)
	l.reverted = d.Uint(tagReverted, 1) == 1
	l.by = decodeName(d, tagBy)
	if at := d.Uint(tagClosed, 1<<40); at > 0 {
		l.closed = time.Unix(int64(at), 0).UTC()
	}
	last = ""
	d.List(tagBoth, 0, statement.MaxOperators, func(_ int, d *transcript.Decoder) {
		name := decodeLabel(d)
		if d.Err() == nil && (name <= last || l.decisions[name] == Wait) {
			d.Fail(tagName, errors.New("who said both is out of order or said nothing"))
		}
		last = name
		l.both = append(l.both, name)
	})
	if err := d.Done(); err != nil {
		return Life{}, fmt.Errorf("decode life of intent %s: %w", l.id.Short(), err)
	}
	return l, nil
}

func decodeVote(d *transcript.Decoder, id statement.ID) Vote {
	v := Vote{Intent: id, Person: decodeLabel(d), Verb: signet.Verb(d.String(tagWord, 8))}
	if d.Err() == nil && v.Verb != signet.Approve && v.Verb != signet.Reject {
		d.Fail(tagWord, fmt.Errorf("is %q, neither approve nor reject", v.Verb))
	}
	line := d.String(tagKey, 2048)
	flags := d.Uint(tagFlags, 7)
	v.Flags = signet.Flags{
		SecurityKey: flags&1 != 0, Present: flags&2 != 0, Verified: flags&4 != 0,
		Counter: uint32(d.Uint(tagCounter, 1<<32-1)),
	}
	if d.Err() != nil {
		return v
	}
	k, err := signet.ParseKey(line)
	if err == nil && k.String() != line {
		err = errors.New("key is not in its one form")
	}
	if err != nil {
		d.Fail(tagKey, err)
	}
	v.Key = k
	return v
}

func decodeLabel(d *transcript.Decoder) string {
	name := d.String(tagName, 64)
	if d.Err() == nil {
		if err := statement.CheckLabel(name); err != nil {
			d.Fail(tagName, err)
		}
	}
	return name
}

func decodeName(d *transcript.Decoder, tag transcript.Tag) string {
	v := d.String(tag, maxName)
	if d.Err() == nil && v != "" {
		if err := statement.CheckText(v, maxName); err != nil {
			d.Fail(tag, err)
		}
	}
	return v
}
