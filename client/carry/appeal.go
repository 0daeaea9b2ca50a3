package carry

import (
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
)

// How the files of an SOS begin.
const (
	AppealBegins       = "ostraka-appeal-v1\n"
	ContributionBegins = "ostraka-contribution-v1\n"
)

// An Appeal (spec/guardian 4) is what a guardian is asked for in an SOS, with all that shows it: nothing in it is anybody's bare word.
type Appeal struct {
	Rosters  []Signed // with officers' signatures; version 0 first
	Charters [][]byte // charter.Enacted, version 0 first; the last is the one that the request names
	Vault    []byte   // its statement
	Request  Signed
	Said     []Signed // about it: activations, steps, vetoes; and what proves itself, which nobody signs: proofs of life, live signatures
	Keys     []AppealKey
}

// An AppealKey is one of the request's keys in the epoch that ends, and what its guardians have of it.
type AppealKey struct {
	Certificate []byte // final, of the epoch's record
	Plan, Set   []byte // of mpc/guard
}

// A Contribution is a guardian's answer (spec/guardian 5).
type Contribution struct {
	Guardian string
	Request  statement.ID
	Parts    []Part // in the order of the request's keys
}

// A Part is for one activation, and so for one key.
type Part struct {
	Activation   statement.ID
	Contribution []byte // of mpc/guard
}

// Fields.
const (
	tagAppealRosters transcript.Tag = iota + 1
	tagAppealCharters
	tagAppealVault
	tagAppealRequest
	tagAppealSaid
	tagAppealKeys
)

const (
	tagKeyCertificate transcript.Tag = iota + 1
	tagKeyPlan
	tagKeySet
)

const (
	tagGuardian transcript.Tag = iota + 1
	tagRequest
	tagParts
)

const (
	tagPartActivation transcript.Tag = iota + 1
	tagPartContribution
)

// MaxKeys is how many keys a request has at most: one of each suite.
const MaxKeys = statement.MaxSOSKeys

const (
	maxSaid = 1024
	maxPlan = 16 << 10
	maxSet  = 2 << 20 // 48 encryptions, and points
)

// IsContribution says whether a file begins as a contribution does.
func IsContribution(file []byte) bool { return begins(file, ContributionBegins) }

// IsAppeal says whether a file begins as an appeal does.
func IsAppeal(file []byte) bool { return begins(file, AppealBegins) }

// Bytes is the one encoding.
func (a Appeal) Bytes() []byte {
	var e transcript.Encoder
	signeds(&e, tagAppealRosters, a.Rosters)
	texts(&e, tagAppealCharters, 1, a.Charters)
	e.Bytes(tagAppealVault, a.Vault)
	signeds(&e, tagAppealRequest, []Signed{a.Request})
	signeds(&e, tagAppealSaid, a.Said)
	e.List(tagAppealKeys, len(a.Keys), func(i int, e *transcript.Encoder) {
		k := a.Keys[i]
		e.Bytes(tagKeyCertificate, k.Certificate).Bytes(tagKeyPlan, k.Plan).Bytes(tagKeySet, k.Set)
	})
	return seal(AppealBegins, e.Sum())
}

// DecodeAppeal reads what Bytes wrote. It checks the form alone.
func DecodeAppeal(file []byte) (a Appeal, err error) {
	body, err := open(AppealBegins, file)
	if err != nil {
		return a, fmt.Errorf("read the appeal: %w", err)
	}
	d := transcript.NewDecoder(body)
	a.Rosters = readSigneds(d, tagAppealRosters, maxVersions)
	a.Charters = readTexts(d, tagAppealCharters, 1, maxVersions)
	a.Vault = d.Bytes(tagAppealVault, statement.MaxBytes)
	if one := readSigneds(d, tagAppealRequest, 1); len(one) == 1 {
		a.Request = one[0]
	} else if d.Err() == nil {
		d.Fail(tagAppealRequest, errors.New("there is none"))
	}
	a.Said = readSaid(d, tagAppealSaid, maxSaid, statement.SOSAlive, statement.SOSSigned)
	d.List(tagAppealKeys, 1, MaxKeys, func(_ int, d *transcript.Decoder) {
		a.Keys = append(a.Keys, AppealKey{d.Bytes(tagKeyCertificate, epoch.MaxFinalCert), d.Bytes(tagKeyPlan, maxPlan), d.Bytes(tagKeySet, maxSet)})
	})
	if err := d.Done(); err != nil {
		return Appeal{}, fmt.Errorf("read the appeal: %w", err)
	}
	return a, nil
}

// Bytes is the one encoding.
func (c Contribution) Bytes() []byte {
	var e transcript.Encoder
	e.String(tagGuardian, c.Guardian).Bytes(tagRequest, c.Request[:])
	e.List(tagParts, len(c.Parts), func(i int, e *transcript.Encoder) {
		e.Bytes(tagPartActivation, c.Parts[i].Activation[:]).Bytes(tagPartContribution, c.Parts[i].Contribution)
	})
	return seal(ContributionBegins, e.Sum())
}

// DecodeContribution reads what Bytes wrote. Whether a part holds, each node says by the activation that it has (guard.Contribution.Check).
func DecodeContribution(file []byte) (c Contribution, err error) {
	body, err := open(ContributionBegins, file)
	if err != nil {
		return c, fmt.Errorf("read the contribution: %w", err)
	}
	d := transcript.NewDecoder(body)
	c.Guardian = d.String(tagGuardian, 64)
	if err := statement.CheckLabel(c.Guardian); err != nil && d.Err() == nil {
		d.Fail(tagGuardian, err)
	}
	copy(c.Request[:], d.Fixed(tagRequest, len(c.Request)))
	d.List(tagParts, 1, MaxKeys, func(i int, d *transcript.Decoder) {
		var p Part
		copy(p.Activation[:], d.Fixed(tagPartActivation, len(p.Activation)))
		p.Contribution = d.Bytes(tagPartContribution, guard.MaxContribution)
		for _, o := range c.Parts {
			if o.Activation == p.Activation { // a guardian answers once: two would void them
				d.Fail(tagPartActivation, errors.New("stands twice"))
			}
		}
		c.Parts = append(c.Parts, p)
	})
	if err := d.Done(); err != nil {
		return Contribution{}, fmt.Errorf("read the contribution: %w", err)
	}
	return c, nil
}

// Only are the parts for these activations.
func (c Contribution) Only(of map[statement.ID][]byte) Contribution {
	var parts []Part
	for _, p := range c.Parts {
		if _, ok := of[p.Activation]; ok {
			parts = append(parts, p)
		}
	}
	c.Parts = parts
	return c
}
