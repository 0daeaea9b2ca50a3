package places

import (
	"errors"
	"fmt"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/attest"
)

// clouds are providers as people call them.
var clouds = map[string]string{"aws": "AWS", "gcp": "Google Cloud", "azure": "Azure"}

// lacks says what whoever judges would have to have.
var lacks = map[string]string{
	"aws":   "give --evidence DIR with the region's certificate in DIR/roots",
	"gcp":   "give --evidence DIR with Google's keys of that day in DIR/keys",
	"azure": "give --evidence DIR with the issuer's certificate in DIR/roots",
}

// Verify reads and verifies one cloud's document as of a time. signature stands beside a document of AWS, or is nil.
func (t Trust) Verify(document, signature []byte, about attest.Subject, at time.Time) (attest.Claim, error) {
	switch attest.Provider(document) {
	case "gcp":
		return attest.GCP(document, t.Keys, about, at)
	case "azure":
		return attest.Azure(document, t.Authorities, about, at)
	}
	if signature == nil { // PKCS#7 carries the document
		document, signature = nil, document
	}
	return attest.AWS(document, signature, t.Regions, at)
}

// document judges what a cloud signed. Of a document that names no node nothing is borne out, though it may say otherwise than the charter.
func (t Trust) document(x *Finding, f File, o charter.Station, p charter.Place, c clock) {
	at := c.time()
	if signed, ok := attest.Signed(f.Content); ok {
		at = signed // what it carries holds as of then, or never; whether that is recent enough is asked below
	}
	about := attest.Subject{Node: o.Identity, Operator: o.Name, Place: p.Name}
	claim, err := t.Verify(f.Content, nil, about, at)
	var unknown *attest.UnknownError
	switch {
	case errors.As(err, &unknown):
		x.unjudged(err.Error(), lacks[attest.Provider(f.Content)])
		return
	case err != nil:
		x.fails(err)
		return
	}
	x.By = clouds[claim.Provider]
	if err := c.recent(x, claim); err != nil {
		x.fails(err)
		return
	}
	agree, differ := claim.Match(attest.Place{Provider: p.Provider, Account: p.Account, Region: p.Region})
	switch {
	case len(differ) > 0 && x.State == Holds:
		x.drifts(differ, charter.Place{Provider: claim.Provider, Account: claim.Account, Region: claim.Region}, p)
	case claim.Class() == attest.Attested && x.State == Holds:
		x.agrees(agree)
	}
}

// recent says whether a document counts at this time. One that never expires, as AWS's, is judged as of now.
func (c clock) recent(x *Finding, claim attest.Claim) error {
	if claim.Expires.IsZero() {
		x.AsOf = claim.Issued.UTC()
		return nil
	}
	until := claim.Issued.Add(Kept)
	if !c.at.IsZero() {
		until = claim.Expires
	}
	x.within(claim.Issued, until)
	switch now := c.time(); {
	case claim.Issued.After(now.Add(skew)) && c.at.IsZero():
		return fmt.Errorf("it is from the future: %s", statement.FormatTime(claim.Issued))
	case claim.Issued.After(now.Add(skew)):
		x.old(fmt.Sprintf("it was signed at %s, after %s", statement.FormatTime(claim.Issued), statement.FormatTime(now)))
	case !now.Before(until):
		x.old(fmt.Sprintf("it was signed at %s, and counted until %s: have it fetched anew", statement.FormatTime(claim.Issued), statement.FormatTime(until)))
	}
	return nil
}

// ReadRoots reads a file of certificates that the reader fetched: of AWS by region, or of Azure.
func ReadRoots(file []byte) (attest.Regions, attest.Authorities, error) {
	regions, first := attest.ReadRegions(file)
	authorities, second := attest.ReadAuthorities(file)
	switch {
	case first != nil && second != nil:
		return nil, attest.Authorities{}, fmt.Errorf("neither certificates of AWS by region (%w) nor of Azure (%w)", first, second)
	case first != nil:
		return nil, authorities, nil
	case second != nil:
		return regions, attest.Authorities{}, nil
	}
	return regions, authorities, nil
}
