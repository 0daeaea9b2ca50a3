package main

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// revokedName is the list of certificates that were taken back (RFC 5280), in DER, signed by the authority. Members go by the one on their own machine.
const revokedName = "revoked.crl"

type revokedDocument struct {
	File    string   `json:"file"`
	Serials []string `json:"serials"` // of all that were taken back, in hex
}

// revoke adds certificates to the list. What is on it stays: nothing is given back.
func (a *app) revoke(dir string, names []string) error {
	now := time.Now()
	var add []x509.RevocationListEntry
	for _, name := range names {
		if !label.MatchString(name) {
			return usage("--revoke: %q: give the name of a certificate in %s, without .crt: replica-acme-2", name, dir)
		}
		c, err := readCertificate(filepath.Join(dir, name+".crt"))
		if err != nil {
			return fail(codeError, fmt.Errorf("take %s back: %w", name, err), "bring its .crt back into the folder, from the machine that has it, or from where the folder's copy is: its serial number is on the list")
		}
		add = append(add, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: now})
	}
	if _, err := os.Stat(filepath.Join(dir, "ca.crt")); err != nil {
		return err // authority would make one
	}
	ca, key, _, err := authority(dir, now)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, revokedName)
	list, err := readRevoked(path, ca)
	if errors.Is(err, fs.ErrNotExist) {
		list, err = &x509.RevocationList{Number: new(big.Int)}, nil
	}
	if err != nil {
		return err
	}
	for _, one := range add {
		if !slices.ContainsFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(one.SerialNumber) == 0 }) {
			list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, one)
		}
	}
	next := &x509.RevocationList{
		Number: new(big.Int).Add(list.Number, big.NewInt(1)), RevokedCertificateEntries: list.RevokedCertificateEntries, ThisUpdate: now, NextUpdate: ca.NotAfter,
	}
	der, err := x509.CreateRevocationList(rand.Reader, next, ca, key)
	if err != nil {
		return fmt.Errorf("sign %s: %w", revokedName, err)
	}
	if err := replaceFile(path, der); err != nil {
		return err
	}
	d := revokedDocument{File: path}
	for _, e := range next.RevokedCertificateEntries {
		d.Serials = append(d.Serials, fmt.Sprintf("%x", e.SerialNumber))
	}
	return a.show(d, func(w io.Writer) {
		fmt.Fprintf(w, "Taken back: %d certificates in all, in %s.\n\nNext: copy it to every member's machine, and restart the members one after another with --revoked %s: connections that are open end then, and no new one is taken.\n",
			len(d.Serials), path, revokedName)
	})
}

// replaceFile puts a whole file in another's place.
func replaceFile(path string, content []byte) error {
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(fresh, content); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

func readCertificate(path string) (*x509.Certificate, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return x509.ParseCertificate(block.Bytes)
}

// readRevoked reads a list. A member that could not read it would take no connection at all, and one that is not the authority's has other numbers.
func readRevoked(path string, ca *x509.Certificate) (*x509.RevocationList, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	list, err := x509.ParseRevocationList(raw)
	if err == nil {
		err = list.CheckSignatureFrom(ca)
	}
	if err != nil {
		return nil, fmt.Errorf("%s is no list of this authority's: %w", path, err)
	}
	return list, nil
}
