// Package tsm makes evidence of a confidential guest, AMD SEV-SNP or Intel TDX, through Linux' configfs (Documentation/ABI/testing/configfs-tsm): a folder
// is made, 64 bytes are written into it, and the hardware's word on them is read out of it (spec/attest 14).
//
// What makers sign of a platform, and the hardware does not give out, lies in a folder that the operator keeps up to date: it is dated and signed, so
// it does not matter who fetched it.
package tsm

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ostraka/ostraka/evidence/attest/sevsnp"
	"github.com/ostraka/ostraka/evidence/attest/tdx"
)

// Folder is where Linux has it.
const Folder = "/sys/kernel/config/tsm/report"

// maxFile bounds what is read of one file, in bytes.
const maxFile = 1 << 20

// A Maker makes evidence of the guest that it runs in.
type Maker struct {
	kind, folder, carry string

	mkdir, rmdir func(string) error // the kernel's: what a folder holds appears and goes with it
}

// New makes a maker of evidence of a kind, sev-snp or tdx. carry is the folder of what evidence carries along; empty: nothing.
func New(kind, folder, carry string) (*Maker, error) {
	if kind != sevsnp.Kind && kind != tdx.Kind {
		return nil, fmt.Errorf("%q is no kind of guest: want %s or %s", kind, sevsnp.Kind, tdx.Kind)
	}
	return &Maker{kind: kind, folder: folder, carry: carry, mkdir: func(p string) error { return os.Mkdir(p, 0o700) }, rmdir: os.Remove}, nil
}

// providers are what Linux calls those who answer.
var providers = map[string]string{sevsnp.Kind: "sev_guest", tdx.Kind: "tdx_guest"}

// Evidence has the hardware sign these 32 bytes, and 32 zeros behind them.
func (m *Maker) Evidence(_ context.Context, binding [32]byte) ([]byte, error) {
	report, aux, err := m.report(binding)
	if err != nil {
		return nil, fmt.Errorf("make evidence of this %s guest: %w", m.kind, err)
	}
	if m.kind == tdx.Kind {
		return m.tdx(report)
	}
	return m.snp(report, aux)
}

// Answer: only a TPM is challenged.
func (m *Maker) Answer(context.Context, []byte) ([]byte, error) {
	return nil, fmt.Errorf("a %s guest has no keys to be challenged for", m.kind)
}

// report asks once. Who else writes into the same folder raises its generation: then what was read is not what was asked.
func (m *Maker) report(binding [32]byte) (report, aux []byte, err error) {
	var draw [8]byte
	if _, err := rand.Read(draw[:]); err != nil {
		return nil, nil, err
	}
	dir := filepath.Join(m.folder, "ostraka-"+hex.EncodeToString(draw[:]))
	if err := m.mkdir(dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("%s is not there: this machine is no such guest, its kernel lacks TSM reports, or configfs is not mounted: %w", m.folder, err)
		}
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, m.rmdir(dir)) }()
	provider, err := m.read(dir, "provider")
	if err == nil && string(bytes.TrimSpace(provider)) != providers[m.kind] {
		err = fmt.Errorf("%q answers here, not %s", bytes.TrimSpace(provider), providers[m.kind])
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "inblob"), append(binding[:], make([]byte, 32)...), 0o600)
	}
	if err != nil {
		return nil, nil, err
	}
	before, err := m.read(dir, "generation")
	if err == nil {
		report, err = m.read(dir, "outblob")
	}
	if err == nil {
		if aux, err = m.read(dir, "auxblob"); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		return nil, nil, err
	}
	after, err := m.read(dir, "generation")
	if err == nil && !bytes.Equal(before, after) {
		err = errors.New("somebody else asked in the same folder meanwhile")
	}
	return report, aux, err
}

func (m *Maker) read(dir, name string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s has %d bytes, at most %d are read", name, len(b), maxFile)
	}
	return b, err
}

// carried reads a file of what evidence carries along; nothing where it is not there.
func (m *Maker) carried(name string) ([]byte, error) {
	if m.carry == "" {
		return nil, nil
	}
	b, err := m.read(m.carry, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Certificates in the table that a host hands to its guests.
var (
	vcek = guid("63da758de6644564adc5f4b93be8accd")
	vlek = guid("a8074bc2a25a483eaae639c045a0b8a1")
	ask  = guid("4ab7b379bbac4fe4a02f05aef327c782")
)

func guid(text string) (out [16]byte) {
	if n, err := hex.Decode(out[:], []byte(text)); err != nil || n != 16 {
		panic(text)
	}
	return out
}

// mixed is a GUID as Windows and firmware write it: its first three parts little-endian.
func mixed(g [16]byte) [16]byte {
	g[0], g[1], g[2], g[3] = g[3], g[2], g[1], g[0]
	g[4], g[5], g[6], g[7] = g[5], g[4], g[7], g[6]
	return g
}

// table finds a certificate in the host's table: GUID 16, offset 4, length 4, little-endian, up to a GUID of zeros.
func table(aux []byte, which [16]byte) []byte {
	for at := 0; at+24 <= len(aux); at += 24 {
		g := [16]byte(aux[at:])
		if g == [16]byte{} {
			return nil
		}
		offset, size := uint64(binary.LittleEndian.Uint32(aux[at+16:])), uint64(binary.LittleEndian.Uint32(aux[at+20:]))
		if (g == which || g == mixed(which)) && offset+size <= uint64(len(aux)) {
			return aux[offset : offset+size]
		}
	}
	return nil
}

// snp puts the certificates beside a report: the host's, or those of the folder.
func (m *Maker) snp(report, aux []byte) ([]byte, error) {
	e := &sevsnp.Evidence{Report: report}
	var err error
	if e.Signer = table(aux, vcek); e.Signer == nil {
		e.Signer = table(aux, vlek)
	}
	e.Issuer = table(aux, ask)
	for _, x := range []struct {
		name string
		to   *[]byte
	}{{"signer.der", &e.Signer}, {"issuer.der", &e.Issuer}, {"withdrawn.der", &e.Withdrawn}} {
		if *x.to == nil {
			if *x.to, err = m.carried(x.name); err != nil {
				return nil, fmt.Errorf("read what this guest's evidence carries: %w", err)
			}
		}
	}
	if len(e.Signer) == 0 || len(e.Issuer) == 0 {
		return nil, errors.New("the host gives no certificates of this processor: fetch the VCEK and ASK from AMD, and put them as signer.der and issuer.der into the folder that the settings name (attest, carry)")
	}
	b := e.Encode()
	_, err = sevsnp.Decode(b) // what we send must be what others read
	return b, err
}

// tdx puts Intel's word on the platform beside a quote.
func (m *Maker) tdx(quote []byte) ([]byte, error) {
	e := &tdx.Evidence{Quote: quote}
	for _, x := range []struct {
		name string
		to   *[]byte
	}{
		{"tcb-info.json", &e.TCBInfo.Body}, {"tcb-info.sig", &e.TCBInfo.Signature}, {"identity.json", &e.Identity.Body}, {"identity.sig", &e.Identity.Signature},
		{"signer.der", &e.Signer}, {"root-list.der", &e.RootList}, {"pck-list.der", &e.PCKList},
	} {
		var err error
		if *x.to, err = m.carried(x.name); err != nil {
			return nil, fmt.Errorf("read what this guest's evidence carries: %w", err)
		}
		if len(*x.to) == 0 {
			return nil, fmt.Errorf("%s is missing: fetch what Intel says of this platform, and put it into the folder that the settings name (attest, carry)", x.name)
		}
	}
	b := e.Encode()
	_, err := tdx.Decode(b)
	return b, err
}
