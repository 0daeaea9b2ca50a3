package attest

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	_ "embed"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Certificates that the providers publish (roots/SOURCES.md).
var (
	//go:embed roots/aws
	awsRoots []byte
	//go:embed roots/azure
	azureRoots []byte
)

// MaxRoots bounds a file of certificates, in bytes.
const MaxRoots = 1 << 20

const maxRoots = 256 // certificates in one file

// Regions are the certificates that sign documents of AWS, by region. Each speaks for its own region alone.
type Regions map[string][]*x509.Certificate

// PinnedRegions are those that Amazon publishes for its RSA-2048 form, as this release knows them.
func PinnedRegions() (Regions, error) { return ReadRegions(awsRoots) }

// ReadRegions reads a file of them (spec/attest 2): lines `region NAME`, each before the certificates of that region in PEM; empty lines and
// comments after #.
func ReadRegions(file []byte) (Regions, error) {
	all := Regions{}
	region := ""
	err := readFile(file, func(line string) error {
		name, ok := strings.CutPrefix(line, "region ")
		if !ok || len(name) > 32 || !lowercase(name, "-") {
			return fmt.Errorf("%.64q is neither a certificate nor a region, such as: region eu-central-1", line)
		}
		region = name
		return nil
	}, func(c *x509.Certificate) error {
		if region == "" {
			return errors.New("a line such as `region eu-central-1` must say which region the certificate speaks for")
		}
		if _, ok := c.PublicKey.(*rsa.PublicKey); !ok {
			return errors.New("the certificate's key is no RSA key")
		}
		all[region] = append(all[region], c)
		return nil
	})
	return all, err
}

// With are these certificates and others besides.
func (r Regions) With(others Regions) Regions {
	all := Regions{}
	for _, from := range []Regions{r, others} {
		for region, certificates := range from {
			all[region] = append(all[region], certificates...)
		}
	}
	return all
}

// Authorities are the certificates above those that sign documents of Azure.
type Authorities struct {
	Roots   []*x509.Certificate // believed
	Issuers []*x509.Certificate // between root and signer; believed if a root signed them
}

// PinnedAuthorities are the roots that Microsoft names and Mozilla carries. Those between change every few years, and documents do not carry
// them: who verifies must have them.
func PinnedAuthorities() (Authorities, error) { return ReadAuthorities(azureRoots) }

// ReadAuthorities reads certificates in PEM, with comments as ReadRegions has them, or one in DER, as Microsoft publishes them. A certificate
// that signed itself is a root.
func ReadAuthorities(file []byte) (Authorities, error) {
	var all Authorities
	if len(file) > 0 && len(file) <= MaxRoots && file[0] == 0x30 {
		file = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: file})
	}
	err := readFile(file, func(line string) error {
		return fmt.Errorf("%.64q is no certificate", line)
	}, func(c *x509.Certificate) error {
		switch {
		case !c.IsCA:
			return errors.New("the certificate may not sign others")
		case bytes.Equal(c.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(c) == nil:
			all.Roots = append(all.Roots, c)
		default:
			all.Issuers = append(all.Issuers, c)
		}
		return nil
	})
	return all, err
}

// With are these certificates and others besides.
func (a Authorities) With(others Authorities) Authorities {
	return Authorities{append(append([]*x509.Certificate{}, a.Roots...), others.Roots...), append(append([]*x509.Certificate{}, a.Issuers...), others.Issuers...)}
}

// readFile goes through a file of certificates: other does something with each line outside them, take with each certificate.
func readFile(file []byte, other func(string) error, take func(*x509.Certificate) error) error {
	if len(file) > MaxRoots {
		return fmt.Errorf("certificates: a file of %d bytes, at most %d are read", len(file), MaxRoots)
	}
	var block []string
	n, taken := 0, 0
	for line := range strings.Lines(string(file)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		var err error
		switch {
		case block != nil || line == "-----BEGIN CERTIFICATE-----":
			block = append(block, line)
			if line != "-----END CERTIFICATE-----" {
				continue
			}
			var c *x509.Certificate
			if c, err = certificate(block); err == nil {
				err = take(c)
			}
			if block, taken = nil, taken+1; taken > maxRoots {
				err = fmt.Errorf("more than %d certificates", maxRoots)
			}
		case line != "" && line[0] != '#':
			err = other(line)
		}
		if err != nil {
			return fmt.Errorf("certificates: line %d: %w", n, err)
		}
	}
	if block != nil {
		return errors.New("certificates: the last one has no END CERTIFICATE line")
	}
	return nil
}

func certificate(lines []string) (*x509.Certificate, error) {
	p, rest := pem.Decode([]byte(strings.Join(lines, "\n") + "\n"))
	if p == nil || len(rest) > 0 || len(p.Headers) > 0 {
		return nil, errors.New("this is no certificate in PEM")
	}
	return x509.ParseCertificate(p.Bytes)
}

// lowercase says that a name is letters in lower case, digits and a few others.
func lowercase(s, others string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789"+others) == ""
}
