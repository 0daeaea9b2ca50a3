package attest

import (
	"crypto/ed25519"
	"encoding/base32"
	"errors"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
)

// A Class says how a claim is known.
type Class uint8

// Classes, from the weakest. Nothing in this room yields Proved: a signature of a provider is somebody's word.
const (
	Declared Class = iota // the operator's own word
	Attested              // signed by hardware, a provider or another independent third party
	Proved                // the verifier itself checked mathematics
)

func (c Class) String() string {
	return [...]string{"declared", "attested", "proved"}[min(c, Proved)]
}

// A Claim is what a document says whose signature was verified.
type Claim struct {
	Provider string // "aws", "gcp", "azure"
	Account  string // AWS: account; GCP: project; Azure: subscription
	Also     string // a second name of the account: GCP's project number
	Region   string // empty: the document does not say
	Zone     string // within the region
	Instance string
	Machine  string // type of the instance
	Image    string // what it was started from

	Started time.Time // of the instance; zero: the document does not say
	Issued  time.Time // when the provider signed; zero: the document does not say
	Expires time.Time // of the document; zero: never

	Bound bool     // the document carries the text of the subject that was asked about
	Notes []string // what whoever relies on it has to know
}

// Notes of claims.
const (
	noteBound   = "an instance there asked for this document in the node's name; that the node's process runs on that instance, the provider does not say"
	noteUnbound = "the document does not name the node: whoever saw it once can show it, and that it is of this node's machine is the operator's own word"
	noteNobody  = "no node was named to compare it with: whose machine it is of, is the operator's own word"
	noteWeak    = "signed with an RSA key of 1024 bits, which a rich attacker can break: fetch the rsa2048 form"
)

// Class is Attested where the document names the node, and Declared elsewhere: evidence is as strong as its weakest link, and without a name
// the link from the document to the node is the operator's word.
func (c Claim) Class() Class {
	if c.Bound {
		return Attested
	}
	return Declared
}

// An UnknownError says that whoever verifies does not have the key or certificate that could tell whether a document holds.
type UnknownError struct{ Lacks string }

func (e *UnknownError) Error() string { return e.Lacks }

// Provider guesses from its form whose document this is: "aws", "gcp" or "azure". Only verifying tells.
func Provider(document []byte) string {
	o, err := readObject(document)
	switch _, enveloped := o["encoding"]; {
	case err == nil && enveloped:
		return azure
	case err != nil && strings.Count(string(document[:min(len(document), maxToken)]), ".") == 2:
		return gcp
	}
	return aws
}

// Signed is when a document says that it was signed; false if it does not say, as AWS's. Nothing of it is verified: it is a time by which to
// judge a document that was kept, and what was verified by it says the same time.
func Signed(document []byte) (time.Time, bool) {
	var c Claim
	switch Provider(document) {
	case gcp:
		raw, _, err := splitToken(document)
		if err != nil {
			return time.Time{}, false
		}
		if c, _, err = readGCP(raw[1]); err != nil {
			return time.Time{}, false
		}
	case azure:
		p, err := openAzure(document)
		if err != nil {
			return time.Time{}, false
		}
		if c, _, err = readAzure(p.content); err != nil {
			return time.Time{}, false
		}
	}
	return c.Issued, !c.Issued.IsZero()
}

// bind notes whether the document carries the text that its subject asks for. Another subject's is no word of the operator's any more: the
// document was fetched for somebody else.
func (c *Claim) bind(carried, asked, before string) error {
	c.Bound = asked != "" && carried == asked
	text, named := strings.CutPrefix(carried, before)
	switch {
	case c.Bound:
		c.Notes = append(c.Notes, noteBound)
	case asked == "":
		c.Notes = append(c.Notes, noteNobody)
	case named && len(text) == nonceLength && strings.Trim(text, nonceAlphabet) == "":
		return errors.New("it names another node or place")
	default:
		c.Notes = append(c.Notes, noteUnbound)
	}
	return nil
}

// A Subject is what a document is fetched for: a node, and a place that its charter lists. The zero Subject is nobody: no document is bound
// to it.
type Subject struct {
	Node     ed25519.PublicKey // identity
	Operator string
	Place    string
}

// Nonce is the text that names the subject: 32 letters and digits, 160 bits of a hash (spec/attest 4). Azure's nonce takes no more.
func (s Subject) Nonce() string {
	if len(s.Node) != ed25519.PublicKeySize {
		return ""
	}
	sum := transcript.New(transcript.EvidenceSubject).Bytes(s.Node).Bytes([]byte(s.Operator)).Bytes([]byte(s.Place)).Sum256()
	return base32.NewEncoding(nonceAlphabet).EncodeToString(sum[:20])
}

const (
	nonceAlphabet  = "abcdefghijklmnopqrstuvwxyz234567" // base32, lower case
	nonceLength    = 32
	audiencePrefix = "urn:ostraka:evidence:"
)

// Audience is the same as a URI, for Google's tokens. Its beginning says what a token with it is for, so that nobody asks for one unawares.
func (s Subject) Audience() string {
	if nonce := s.Nonce(); nonce != "" {
		return audiencePrefix + nonce
	}
	return ""
}

// Fields that a claim and a place have in common.
const (
	FieldProvider = "provider"
	FieldAccount  = "account"
	FieldRegion   = "region"
)

// A Place is what a charter says of a place, as far as such documents speak of it. Of jurisdiction, hardware and access they say nothing.
type Place struct {
	Provider, Account, Region string
}

// Match compares a claim with a place. Fields that the document does not speak of stand in neither list.
//
// Names are compared exactly once they are in lower case, an AWS account without hyphens (1234-5678-9012), an Azure region without spaces
// (West Europe). Providers are "aws", "gcp" and "azure".
func (c Claim) Match(p Place) (agree, differ []string) {
	for _, f := range []struct {
		name   string
		stated string
		said   []string
	}{
		{FieldProvider, p.Provider, []string{c.Provider}},
		{FieldAccount, p.Account, []string{c.Account, c.Also}},
		{FieldRegion, p.Region, []string{c.Region}},
	} {
		spoken, same := false, false
		for _, said := range f.said {
			spoken = spoken || said != ""
			same = same || said != "" && c.normal(f.name, said) == c.normal(f.name, f.stated)
		}
		switch {
		case same:
			agree = append(agree, f.name)
		case spoken:
			differ = append(differ, f.name)
		}
	}
	return agree, differ
}

func (c Claim) normal(field, text string) string {
	text = strings.ToLower(text)
	switch {
	case c.Provider == aws && field == FieldAccount:
		text = strings.ReplaceAll(text, "-", "")
	case c.Provider == azure && field == FieldRegion:
		text = strings.ReplaceAll(text, " ", "")
	}
	return text
}

// Providers.
const (
	aws   = "aws"
	gcp   = "gcp"
	azure = "azure"
)

// skew is how far a provider's clock may be before ours.
const skew = 5 * time.Minute
