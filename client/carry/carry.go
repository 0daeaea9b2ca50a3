package carry

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// MaxFile bounds a file, in bytes.
const MaxFile = 16 << 20

// How the files begin.
const (
	CaseBegins   = "ostraka-case-v1\n"
	AnswerBegins = "ostraka-answer-v1\n"
)

// A Signed is a statement's bytes and armored or raw signatures over it.
type Signed struct {
	Statement  []byte
	Signatures [][]byte
}

// A Case is an intent with all that shows what it is: nothing in it is anybody's bare word.
type Case struct {
	Rosters     []Signed // with officers' signatures; version 0 first
	Charters    [][]byte // charter.Enacted, version 0 first
	Revocations []Signed // one signature each
	Vault       []byte   // its statement
	Reshares    [][]byte // charter.Accepted
	Roots       []Root
	Intent      Signed // by its initiator
	Votes       []Vote
	Decisions   []Signed // by nodes
	Raw         []byte   // what was signed; empty: nothing was
	Rescued     [][]byte // of each epoch that an emergency made: a chain of two certificates; left out where there is none
}

// A Root is a key's suite and final certificate, which is empty while there is none.
type Root struct {
	Suite       string
	Certificate []byte
}

// A Vote is an approver's.
type Vote struct {
	Person, Verb string
	Signature    []byte
}

// An Answer is a vote on its way back.
type Answer struct {
	Intent    statement.ID
	Verb      string
	Signature []byte
}

// Fields.
const (
	tagRosters transcript.Tag = iota + 1
	tagCharters
	tagCharter
	tagRevocations
	tagVault
	tagReshares
	tagReshare
	tagRoots
	tagSuite
	tagCertificate
	tagIntent
	tagVotes
	tagPerson
	tagVerb
	tagSignature
	tagDecisions
	tagRaw
	tagStatement
	tagSignatures
	tagID
	tagRescues
	tagRescue
)

// Bounds of what no other room bounds.
const (
	maxVersions = 4096
	maxMany     = 4096
	maxLarge    = 1 << 20 // an enacted charter, a reshare with its signatures
	maxRaw      = 256 << 10
)

// IsAnswer says whether a file begins as an answer does.
func IsAnswer(file []byte) bool { return begins(file, AnswerBegins) }

func begins(file []byte, how string) bool { return bytes.HasPrefix(file, []byte(how)) }

// Bytes is the one encoding: how it begins, the fields, and the SHA-256 of both.
func (c Case) Bytes() []byte {
	var e transcript.Encoder
	signeds(&e, tagRosters, c.Rosters)
	texts(&e, tagCharters, tagCharter, c.Charters)
	signeds(&e, tagRevocations, c.Revocations)
	e.Bytes(tagVault, c.Vault)
	texts(&e, tagReshares, tagReshare, c.Reshares)
	e.List(tagRoots, len(c.Roots), func(i int, e *transcript.Encoder) {
		e.String(tagSuite, c.Roots[i].Suite).Bytes(tagCertificate, c.Roots[i].Certificate)
	})
	signeds(&e, tagIntent, []Signed{c.Intent})
	e.List(tagVotes, len(c.Votes), func(i int, e *transcript.Encoder) {
		v := c.Votes[i]
		e.String(tagPerson, v.Person).String(tagVerb, v.Verb).Bytes(tagSignature, v.Signature)
	})
	signeds(&e, tagDecisions, c.Decisions)
	e.Bytes(tagRaw, c.Raw)
	if len(c.Rescued) > 0 {
		texts(&e, tagRescues, tagRescue, c.Rescued)
	}
	return seal(CaseBegins, e.Sum())
}

// DecodeCase reads what Bytes wrote. It checks the form alone: whoever altered it may have counted the hash anew.
func DecodeCase(file []byte) (c Case, err error) {
	body, err := open(CaseBegins, file)
	if err != nil {
		return c, err
	}
	d := transcript.NewDecoder(body)
	c.Rosters = readSigneds(d, tagRosters, maxVersions)
	c.Charters = readTexts(d, tagCharters, tagCharter, maxVersions)
	c.Revocations = readSigneds(d, tagRevocations, maxMany)
	c.Vault = d.Bytes(tagVault, statement.MaxBytes)
	c.Reshares = readTexts(d, tagReshares, tagReshare, maxMany)
	d.List(tagRoots, 0, 8, func(_ int, d *transcript.Decoder) {
		c.Roots = append(c.Roots, Root{d.String(tagSuite, 64), d.Bytes(tagCertificate, epoch.MaxFinalCert)})
	})
	if one := readSigneds(d, tagIntent, 1); len(one) == 1 {
		c.Intent = one[0]
	} else if d.Err() == nil {
		d.Fail(tagIntent, errors.New("there is none"))
	}
	d.List(tagVotes, 0, maxMany, func(_ int, d *transcript.Decoder) {
		c.Votes = append(c.Votes, Vote{d.String(tagPerson, 64), d.String(tagVerb, 16), d.Bytes(tagSignature, signet.MaxArmored)})
	})
	c.Decisions = readSigneds(d, tagDecisions, maxMany)
	c.Raw = d.Bytes(tagRaw, maxRaw)
	if d.More() {
		if c.Rescued = readTexts(d, tagRescues, tagRescue, maxMany); len(c.Rescued) == 0 && d.Err() == nil {
			d.Fail(tagRescues, errors.New("the list is empty, where it would be left out"))
		}
	}
	if err := d.Done(); err != nil {
		return Case{}, fmt.Errorf("read the case: %w", err)
	}
	return c, nil
}

// Bytes is the one encoding.
func (a Answer) Bytes() []byte {
	var e transcript.Encoder
	e.Bytes(tagID, a.Intent[:]).String(tagVerb, a.Verb).Bytes(tagSignature, a.Signature)
	return seal(AnswerBegins, e.Sum())
}

// DecodeAnswer reads what Bytes wrote; the signature is the reader's to verify.
func DecodeAnswer(file []byte) (a Answer, err error) {
	body, err := open(AnswerBegins, file)
	if err != nil {
		return a, err
	}
	d := transcript.NewDecoder(body)
	id := d.Fixed(tagID, len(a.Intent))
	a.Verb, a.Signature = d.String(tagVerb, 16), d.Bytes(tagSignature, signet.MaxArmored)
	if v := signet.Verb(a.Verb); d.Err() == nil && v != signet.Approve && v != signet.Reject {
		d.Fail(tagVerb, fmt.Errorf("%q is neither approve nor reject", a.Verb))
	}
	if err := d.Done(); err != nil {
		return Answer{}, fmt.Errorf("read the answer: %w", err)
	}
	copy(a.Intent[:], id)
	return a, nil
}

func seal(how string, body []byte) []byte {
	out := append([]byte(how), body...)
	sum := sha256.Sum256(out)
	return append(out, sum[:]...)
}

func open(how string, file []byte) ([]byte, error) {
	n := len(file) - sha256.Size
	switch {
	case len(file) > MaxFile:
		return nil, fmt.Errorf("it has more than %d bytes", MaxFile)
	case !begins(file, how):
		return nil, fmt.Errorf("it does not begin with %q", how)
	case n < len(how):
		return nil, errors.New("it is cut off")
	}
	if sum := sha256.Sum256(file[:n]); !bytes.Equal(sum[:], file[n:]) {
		return nil, errors.New("it was altered or cut off on its way: its hash is another")
	}
	return file[len(how):n], nil
}

func signeds(e *transcript.Encoder, tag transcript.Tag, all []Signed) {
	e.List(tag, len(all), func(i int, e *transcript.Encoder) {
		e.Bytes(tagStatement, all[i].Statement)
		texts(e, tagSignatures, tagSignature, all[i].Signatures)
	})
}

func readSigneds(d *transcript.Decoder, tag transcript.Tag, most int) []Signed {
	return readSaid(d, tag, most)
}

// readSaid reads statements with their signatures. Those of some kinds prove themselves, and bear none.
func readSaid(d *transcript.Decoder, tag transcript.Tag, most int, bare ...statement.Kind) (all []Signed) {
	d.List(tag, 0, most, func(_ int, d *transcript.Decoder) {
		s := Signed{Statement: d.Bytes(tagStatement, statement.MaxBytes)}
		least := 1
		if st, err := statement.Parse(s.Statement); len(bare) > 0 && err == nil && slices.Contains(bare, st.Kind()) {
			least = 0
		}
		d.List(tagSignatures, least, 4*statement.MaxOperators, func(_ int, d *transcript.Decoder) {
			s.Signatures = append(s.Signatures, d.Bytes(tagSignature, signet.MaxArmored))
		})
		all = append(all, s)
	})
	return all
}

func texts(e *transcript.Encoder, tag, item transcript.Tag, all [][]byte) {
	e.List(tag, len(all), func(i int, e *transcript.Encoder) { e.Bytes(item, all[i]) })
}

func readTexts(d *transcript.Decoder, tag, item transcript.Tag, most int) (all [][]byte) {
	d.List(tag, 0, most, func(_ int, d *transcript.Decoder) { all = append(all, d.Bytes(item, maxLarge)) })
	return all
}
