package node

import (
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ostraka/ostraka/evidence/attest/hardware"
	"github.com/ostraka/ostraka/evidence/attest/tdx"
)

const (
	maxLists    = 64 // entries of a folder of lists
	maxListFile = 64 << 10
)

// readLists reads what this node's operator fetched itself (spec/attest 14.5): files NAME.der are lists of certificates that AMD has withdrawn; each folder is Intel's word on one
// platform, in the files that a guest's own folder (carry) has. Anything else is a mistake: a list under a name that is passed over would refuse nobody.
func readLists(folder string) (c hardware.Collateral, err error) {
	entries, err := os.ReadDir(folder)
	if err == nil && len(entries) > maxLists {
		err = fmt.Errorf("%s has %d entries, at most %d are read", folder, len(entries), maxLists)
	}
	if err != nil {
		return c, err
	}
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		switch info, err := os.Stat(path); { // a link leads to what it names
		case strings.HasPrefix(e.Name(), "."): // of editors and of what puts files there in one step
		case err != nil:
			return c, err
		case info.IsDir():
			one, err := readPlatform(path)
			if err != nil {
				return c, err
			}
			c.TDX = append(c.TDX, one)
		case filepath.Ext(e.Name()) == ".der":
			der, err := readList(path)
			if err == nil {
				_, err = x509.ParseRevocationList(der)
			}
			if err != nil {
				return c, fmt.Errorf("%s: %w", path, err)
			}
			c.SNP = append(c.SNP, der)
		default:
			return c, fmt.Errorf("%s is neither a list (NAME.der) nor the folder of a platform", path)
		}
	}
	return c, nil
}

// readPlatform reads Intel's word on one platform.
func readPlatform(folder string) (*tdx.Collateral, error) {
	c := &tdx.Collateral{}
	for name, to := range map[string]*[]byte{
		"tcb-info.json": &c.TCBInfo.Body, "tcb-info.sig": &c.TCBInfo.Signature, "identity.json": &c.Identity.Body, "identity.sig": &c.Identity.Signature,
		"signer.der": &c.Signer, "root-list.der": &c.RootList, "pck-list.der": &c.PCKList,
	} {
		var err error
		if *to, err = readList(filepath.Join(folder, name)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func readList(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxListFile+1))
	if err == nil && (len(b) == 0 || len(b) > maxListFile) {
		err = fmt.Errorf("%s: is empty, or has more than %d bytes", path, maxListFile)
	}
	return b, err
}
