package attest

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	encoding "encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// signed is PKCS#7 (RFC 5652) as AWS and Azure write it: SignedData over data that it carries, by one signer, with SHA-256 and RSA
// (PKCS#1 v1.5). Nothing else is read: two signers, or an algorithm for each reader, are two meanings.
type signed struct {
	content      []byte
	certificates []*x509.Certificate
	issuer       []byte // of the signer's certificate: its name in DER
	serial       *big.Int
	attributes   []byte // within their set; nil: the content itself is signed
	signature    []byte
	at           time.Time // when it says it was signed; zero: it does not
}

const maxCertificates = 8

var (
	oidSignedData    = encoding.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidData          = encoding.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidContentType   = encoding.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = encoding.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningTime   = encoding.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
	oidSHA1          = encoding.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA256        = encoding.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidRSA           = encoding.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidSHA256RSA     = encoding.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}

	// Azure names the signature's algorithm where the digest's belongs.
	digests    = []encoding.ObjectIdentifier{oidSHA256, oidSHA256RSA}
	signatures = []encoding.ObjectIdentifier{oidRSA, oidSHA256RSA}

	tagContent = asn1.Tag(0).Constructed().ContextSpecific()
	errPKCS7   = errors.New("it is no PKCS#7 of one signer over the data that it carries")
)

// fromBase64 decodes base64 in lines, with or without the lines around it that PEM has.
func fromBase64(text []byte) ([]byte, error) {
	if len(text) > 2*maxBER {
		return nil, fmt.Errorf("base64 of %d bytes, at most %d are read", len(text), 2*maxBER)
	}
	s := strings.TrimSpace(string(text))
	if inner, ok := strings.CutPrefix(s, "-----BEGIN PKCS7-----"); ok {
		if s, ok = strings.CutSuffix(inner, "-----END PKCS7-----"); !ok {
			return nil, errors.New("its last line is not -----END PKCS7-----")
		}
	}
	s = strings.NewReplacer("\n", "", "\r", "", " ", "").Replace(s)
	out, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, errors.New("it is not base64")
	}
	return out, nil
}

func readPKCS7(ber []byte) (*signed, error) {
	der, err := toDER(ber)
	if err != nil {
		return nil, err
	}
	var whole, outer, data, inner, set, signers, info cryptobyte.String
	var kind, content encoding.ObjectIdentifier
	var version int
	var certificates cryptobyte.String
	var with bool
	p := &signed{}
	input := cryptobyte.String(der)
	if !input.ReadASN1(&whole, asn1.SEQUENCE) || !whole.ReadASN1ObjectIdentifier(&kind) || !kind.Equal(oidSignedData) || !whole.ReadASN1(&outer, tagContent) || !whole.Empty() ||
		!outer.ReadASN1(&data, asn1.SEQUENCE) || !outer.Empty() ||
		!data.ReadASN1Integer(&version) || version != 1 || !data.ReadASN1(&set, asn1.SET) ||
		!data.ReadASN1(&inner, asn1.SEQUENCE) || !inner.ReadASN1ObjectIdentifier(&content) || !content.Equal(oidData) ||
		!inner.ReadASN1(&info, tagContent) || !inner.Empty() || !info.ReadASN1Bytes(&p.content, asn1.OCTET_STRING) || !info.Empty() ||
		!data.ReadOptionalASN1(&certificates, &with, tagContent) || !data.ReadASN1(&signers, asn1.SET) || !data.Empty() {
		return nil, errPKCS7
	}
	if err := algorithm(&set, digests); err != nil {
		return nil, err
	}
	for !certificates.Empty() {
		var one cryptobyte.String
		if len(p.certificates) == maxCertificates || !certificates.ReadASN1Element(&one, asn1.SEQUENCE) {
			return nil, errPKCS7
		}
		c, err := x509.ParseCertificate(one)
		if err != nil {
			return nil, fmt.Errorf("a certificate in it: %w", err)
		}
		p.certificates = append(p.certificates, c)
	}
	if !set.Empty() {
		return nil, errPKCS7
	}
	return p, p.readSigner(&signers)
}

// readSigner reads the one signer. Attributes that nobody signed are refused: nothing may rest on them.
func (p *signed) readSigner(signers *cryptobyte.String) error {
	var info, id, issuer, attributes cryptobyte.String
	var version int
	var with bool
	p.serial = new(big.Int)
	if !signers.ReadASN1(&info, asn1.SEQUENCE) || !signers.Empty() || !info.ReadASN1Integer(&version) || version != 1 ||
		!info.ReadASN1(&id, asn1.SEQUENCE) || !id.ReadASN1Element(&issuer, asn1.SEQUENCE) || !id.ReadASN1Integer(p.serial) || !id.Empty() {
		return errPKCS7
	}
	p.issuer = issuer
	if err := algorithm(&info, digests); err != nil {
		return err
	}
	if !info.ReadOptionalASN1(&attributes, &with, tagContent) {
		return errPKCS7
	}
	if err := algorithm(&info, signatures); err != nil {
		return err
	}
	if !info.ReadASN1Bytes(&p.signature, asn1.OCTET_STRING) || !info.Empty() {
		return errPKCS7
	}
	if !with {
		return nil
	}
	p.attributes = attributes
	return p.readAttributes()
}

// algorithm reads an identifier that must be one of a few, with no parameters.
func algorithm(s *cryptobyte.String, allowed []encoding.ObjectIdentifier) error {
	var a, null cryptobyte.String
	var id encoding.ObjectIdentifier
	if !s.ReadASN1(&a, asn1.SEQUENCE) || !a.ReadASN1ObjectIdentifier(&id) {
		return errPKCS7
	}
	if !a.Empty() && (!a.ReadASN1(&null, asn1.NULL) || !null.Empty() || !a.Empty()) {
		return errPKCS7
	}
	for _, x := range allowed {
		if id.Equal(x) {
			return nil
		}
	}
	if id.Equal(oidSHA1) {
		return errors.New("it is signed over SHA-1, whose collisions cost little; only SHA-256 with RSA is read (of AWS: the rsa2048 form)")
	}
	return fmt.Errorf("it is signed with algorithm %v; only SHA-256 with RSA is read", id)
}

// readAttributes checks that what is signed covers the content: type and digest stand in the attributes, each attribute once.
func (p *signed) readAttributes() error {
	sum := sha256.Sum256(p.content)
	seen := map[string]bool{}
	var before []byte
	for all := cryptobyte.String(p.attributes); !all.Empty(); {
		var element, attribute, values cryptobyte.String
		var kind encoding.ObjectIdentifier
		if !all.ReadASN1Element(&element, asn1.SEQUENCE) {
			return errPKCS7
		}
		// DER orders a set; in another order the signed bytes would be others.
		if bytes.Compare(before, element) >= 0 {
			return errPKCS7
		}
		before = element
		if !element.ReadASN1(&attribute, asn1.SEQUENCE) || !attribute.ReadASN1ObjectIdentifier(&kind) || !attribute.ReadASN1(&values, asn1.SET) || !attribute.Empty() || seen[kind.String()] {
			return errPKCS7
		}
		seen[kind.String()] = true
		switch {
		case kind.Equal(oidContentType):
			var id encoding.ObjectIdentifier
			if !values.ReadASN1ObjectIdentifier(&id) || !values.Empty() || !id.Equal(oidData) {
				return errPKCS7
			}
		case kind.Equal(oidMessageDigest):
			var digest []byte
			if !values.ReadASN1Bytes(&digest, asn1.OCTET_STRING) || !values.Empty() {
				return errPKCS7
			}
			if !bytes.Equal(digest, sum[:]) {
				return errors.New("the signature is over other bytes than the document")
			}
		case kind.Equal(oidSigningTime):
			if !values.ReadASN1UTCTime(&p.at) || !values.Empty() {
				return errPKCS7
			}
		}
	}
	if !seen[oidContentType.String()] || !seen[oidMessageDigest.String()] {
		return errPKCS7
	}
	return nil
}

// by says whether a certificate is the one that the signer names.
func (p *signed) by(c *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, p.issuer) && c.SerialNumber.Cmp(p.serial) == 0
}

// verify checks the signature with a certificate's key. Signatures over attributes and over content cannot be taken for one another: attributes
// are a set in DER, and the content must be a JSON object.
func (p *signed) verify(c *x509.Certificate) error {
	data := p.content
	if p.attributes != nil {
		var e cryptobyte.Builder
		e.AddASN1(asn1.SET, func(e *cryptobyte.Builder) { e.AddBytes(p.attributes) })
		data = e.BytesOrPanic()
	}
	return verifyRSA(c.PublicKey, data, p.signature, 2048)
}

// verifyRSA checks an RSA signature (PKCS#1 v1.5) over SHA-256 of data by a key of so many bits at least.
func verifyRSA(key any, data, signature []byte, least int) error {
	public, ok := key.(*rsa.PublicKey)
	switch {
	case !ok:
		return errors.New("the signer's key is no RSA key")
	case public.N.BitLen() < least || public.N.BitLen() > maxKey:
		return fmt.Errorf("the signer's RSA key has %d bits; %d to %d are allowed", public.N.BitLen(), least, maxKey)
	}
	sum := sha256.Sum256(data)
	if rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature) != nil {
		return errors.New("the signature is wrong: the document was changed, or somebody else signed it")
	}
	return nil
}

const maxKey = 8192 // bits
