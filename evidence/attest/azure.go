package attest

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Names of the metadata service, in the clouds of Azure. A region's stands before them.
var azureHosts = []string{"metadata.azure.com", "metadata.azure.us", "metadata.azure.cn"}

// maxAzureLife is the longest that a document may hold; Azure gives six hours.
const maxAzureLife = 24 * time.Hour

// Azure verifies an attested document of an Azure machine: the JSON that the metadata service answers, with base64 of PKCS#7 in it. The claim
// is bound if the nonce is the subject's.
func Azure(document []byte, trusted Authorities, about Subject, now time.Time) (Claim, error) {
	c, err := verifyAzure(document, trusted, about, now)
	if err != nil {
		return Claim{}, fmt.Errorf("Azure document: %w", err)
	}
	return c, nil
}

func verifyAzure(document []byte, trusted Authorities, about Subject, now time.Time) (Claim, error) {
	p, err := openAzure(document)
	if err != nil {
		return Claim{}, err
	}
	i := slices.IndexFunc(p.certificates, p.by)
	if i < 0 {
		return Claim{}, errors.New("it does not carry its signer's certificate")
	}
	signer := p.certificates[i]
	region, err := azureSigner(signer, p.certificates, trusted, now)
	if err != nil {
		return Claim{}, err
	}
	if err := p.verify(signer); err != nil {
		return Claim{}, err
	}
	c, nonce, err := readAzure(p.content)
	if err != nil {
		return Claim{}, err
	}
	c.Region = region
	switch {
	case c.Issued.After(now.Add(skew)):
		return Claim{}, fmt.Errorf("it is from the future: %s", c.Issued.Format(time.RFC3339))
	case now.After(c.Expires):
		return Claim{}, fmt.Errorf("it expired at %s", c.Expires.Format(time.RFC3339))
	case c.Expires.Sub(c.Issued) > maxAzureLife || !c.Expires.After(c.Issued):
		return Claim{}, fmt.Errorf("it says that it holds from %s to %s", c.Issued.Format(time.RFC3339), c.Expires.Format(time.RFC3339))
	}
	return c, c.bind(nonce, about.Nonce(), "")
}

// openAzure takes PKCS#7 out of its envelope. Nothing of it is verified.
func openAzure(document []byte) (*signed, error) {
	o, err := readObject(document)
	if err != nil {
		return nil, err
	}
	var form, signature string
	if form, err = o.optional("encoding"); err != nil || form != "pkcs7" {
		return nil, errors.New(`encoding is not "pkcs7"`)
	}
	if signature, _ = o["signature"].(string); signature == "" {
		return nil, errors.New("signature is missing")
	}
	raw, err := fromBase64([]byte(signature))
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	return readPKCS7(raw)
}

// azureSigner checks that a certificate is the metadata service's, and returns the region that it names, if it names one.
func azureSigner(signer *x509.Certificate, carried []*x509.Certificate, trusted Authorities, now time.Time) (region string, err error) {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range trusted.Roots {
		roots.AddCert(c)
	}
	for _, c := range append(carried[:len(carried):len(carried)], trusted.Issuers...) {
		between.AddCert(c)
	}
	_, err = signer.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if unknown := (x509.UnknownAuthorityError{}); errors.As(err, &unknown) {
		return "", &UnknownError{fmt.Sprintf("no trusted certificate issued its signer's: the issuer's is needed, %.128q, from %.256q", signer.Issuer.CommonName, signer.IssuingCertificateURL)}
	}
	if err != nil {
		return "", fmt.Errorf("its signer's certificate: %w", err)
	}
	ours := false
	for _, name := range signer.DNSNames {
		for _, host := range azureHosts {
			label, below := strings.CutSuffix(name, "."+host)
			switch {
			case name == host:
				ours = true
			case below && lowercase(label, "") && region == "":
				ours, region = true, label
			case below && lowercase(label, "") && region != label:
				return "", fmt.Errorf("its signer's certificate is of two regions, %s and %s", region, label)
			}
		}
	}
	if !ours {
		return "", fmt.Errorf("its signer's certificate is not the metadata service's but of %.256q", signer.DNSNames)
	}
	return region, nil
}

func readAzure(content []byte) (c Claim, nonce string, err error) {
	o, err := readObject(content)
	if err != nil {
		return Claim{}, "", err
	}
	c = Claim{Provider: azure}
	if err := o.texts(map[string]*string{"subscriptionId": &c.Account, "vmId": &c.Instance}); err != nil {
		return Claim{}, "", err
	}
	if c.Image, err = o.optional("sku"); err != nil {
		return Claim{}, "", err
	}
	if nonce, err = o.optional("nonce"); err != nil {
		return Claim{}, "", err
	}
	times, err := o.object("timeStamp")
	if err != nil {
		return Claim{}, "", err
	}
	var created, expires string
	if err := times.texts(map[string]*string{"createdOn": &created, "expiresOn": &expires}); err != nil {
		return Claim{}, "", fmt.Errorf("timeStamp: %w", err)
	}
	for _, x := range []struct {
		text string
		to   *time.Time
	}{{created, &c.Issued}, {expires, &c.Expires}} {
		t, err := time.Parse("01/02/06 15:04:05 -0700", x.text)
		if err != nil {
			return Claim{}, "", fmt.Errorf("timeStamp: %q is no time", x.text)
		}
		*x.to = t.UTC()
	}
	return c, nonce, nil
}
