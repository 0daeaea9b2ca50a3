package attest

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
)

// awsVersion is the form of EC2's documents, as they say themselves.
const awsVersion = "2017-09-30"

// maxRaw bounds a bare RSA signature, in bytes: of a key of 4096 bits. PKCS#7 that carries a document is longer.
const maxRaw = 512

// AWS verifies an EC2 instance identity document with one of its signatures, in base64 as the metadata service gives them: `rsa2048`, PKCS#7
// that carries the document (then document may be empty), or `signature`, bare RSA with a key of 1024 bits. The form `pkcs7`, DSA over SHA-1,
// is refused. No such document can name a node, so the claim is never bound.
func AWS(document, signature []byte, pinned Regions, now time.Time) (Claim, error) {
	c, err := verifyAWS(document, signature, pinned, now)
	if err != nil {
		return Claim{}, fmt.Errorf("AWS document: %w", err)
	}
	return c, nil
}

func verifyAWS(document, signature []byte, pinned Regions, now time.Time) (Claim, error) {
	raw, err := fromBase64(signature)
	if err != nil {
		return Claim{}, fmt.Errorf("signature: %w", err)
	}
	var p *signed
	if len(document) == 0 || len(raw) > maxRaw {
		if p, err = readPKCS7(raw); err != nil {
			return Claim{}, err
		}
		if len(document) == 0 {
			document = p.content
		}
		if !bytes.Equal(document, p.content) {
			return Claim{}, errors.New("the signature carries another document")
		}
	}
	c, err := readAWS(document)
	if err != nil {
		return Claim{}, err
	}
	// The region that picks the certificate is not verified yet; it is, once that certificate's key has signed it.
	weak, err := signedIn(pinned[c.Region], c.Region, now, document, raw, p)
	if err != nil {
		return Claim{}, err
	}
	if p != nil {
		c.Issued = p.at
	}
	if c.Issued.After(now.Add(skew)) || c.Started.After(now.Add(skew)) {
		return Claim{}, fmt.Errorf("it is from the future: %s", later(c.Issued, c.Started).Format(time.RFC3339))
	}
	c.Notes = []string{noteUnbound}
	if weak {
		c.Notes = append(c.Notes, noteWeak)
	}
	return c, nil
}

// signedIn finds the certificate of a region whose key signed. It says whether the key is weak.
func signedIn(certificates []*x509.Certificate, region string, now time.Time, document, raw []byte, p *signed) (weak bool, err error) {
	err = &UnknownError{fmt.Sprintf("no certificate is pinned for region %q", region)}
	for _, c := range certificates {
		switch {
		case p != nil && !p.by(c):
			err = &UnknownError{fmt.Sprintf("it names certificate %x as its signer's, which is none of those pinned for region %s", p.serial, region)}
			continue
		case now.Before(c.NotBefore) || now.After(c.NotAfter):
			err = fmt.Errorf("the certificate of region %s holds from %s to %s", region, c.NotBefore.Format(time.DateOnly), c.NotAfter.Format(time.DateOnly))
			continue
		case p != nil:
			err = p.verify(c)
		default:
			if err = verifyRSA(c.PublicKey, document, raw, 2048); err != nil {
				err, weak = verifyRSA(c.PublicKey, document, raw, 1024), true
			}
		}
		if err == nil {
			return weak, nil
		}
	}
	return false, err
}

// readAWS reads the document, which is not verified yet. Fields that we do not know are left alone.
func readAWS(document []byte) (Claim, error) {
	o, err := readObject(document)
	if err != nil {
		return Claim{}, err
	}
	c := Claim{Provider: aws}
	var version, started string
	if err := o.texts(map[string]*string{
		"version": &version, "accountId": &c.Account, "region": &c.Region, "availabilityZone": &c.Zone, "instanceId": &c.Instance,
		"instanceType": &c.Machine, "imageId": &c.Image, "pendingTime": &started,
	}); err != nil {
		return Claim{}, err
	}
	switch {
	case version != awsVersion:
		return Claim{}, fmt.Errorf("version is %q; this release reads %s", version, awsVersion)
	case len(c.Account) != 12 || strings.Trim(c.Account, "0123456789") != "":
		return Claim{}, fmt.Errorf("accountId %q is not twelve digits", c.Account)
	case !lowercase(c.Region, "-") || !strings.HasPrefix(c.Zone, c.Region):
		return Claim{}, fmt.Errorf("zone %q does not lie in region %q", c.Zone, c.Region)
	}
	if c.Started, err = time.Parse(time.RFC3339, started); err != nil {
		return Claim{}, fmt.Errorf("pendingTime %q is no time", started)
	}
	return c, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
