package tpm

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	attest "github.com/ostraka/ostraka/evidence/attest/tpm"
	"github.com/ostraka/ostraka/node/tpm"
)

// kind is an endorsement key as the TCG puts it (EK Credential Profile 2.5, 2.2.1): where its certificate lies, its template, and where somebody may
// have stored it.
type kind struct {
	certificate tpm2.TPMHandle
	template    tpm2.TPMTPublic
	stored      tpm2.TPMHandle
}

// kinds, the preferred first: P-256 is made in milliseconds, RSA in seconds.
var kinds = []kind{
	{0x01c0000a, tpm2.ECCEKTemplate, 0x81010002},
	{0x01c00002, tpm2.RSAEKTemplate, 0x81010001},
}

// firstChain is where a TPM's maker may keep the certificates between the endorsement key's and its root: one index after the other.
const firstChain tpm2.TPMHandle = 0x01c00100

// endorsement is the key that stands for the TPM, and who vouches for it. It does not change while the TPM is the same.
type endorsement struct {
	kind        kind
	certificate []byte
	chain       [][]byte
	public      []byte // TPM2B_PUBLIC
}

// endorsement finds the key that has a certificate; without any, the first kind.
func (q *Quoter) endorsement(c *tpm.Conn) (*endorsement, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.known != nil {
		return q.known, nil
	}
	e := &endorsement{kind: kinds[0]}
	for _, k := range kinds {
		raw, err := readIndex(c, k.certificate, attest.MaxCertificate)
		if err != nil {
			return nil, fmt.Errorf("read the endorsement key's certificate: %w", err)
		}
		if list := certificates(raw); len(list) > 0 {
			e.kind, e.certificate = k, list[0]
			break
		}
	}
	if e.certificate != nil {
		var raw []byte
		for i := range tpm2.TPMHandle(attest.MaxChain) {
			part, err := readIndex(c, firstChain+i, attest.MaxCertificate)
			if err != nil {
				return nil, fmt.Errorf("read the certificates of the TPM's maker: %w", err)
			}
			if part == nil {
				break
			}
			raw = append(raw, part...)
		}
		e.chain = certificates(raw)
	}
	key, err := e.kind.key(c)
	if err != nil {
		return nil, err
	}
	e.public = tpm2.Marshal(tpm2.New2B(key.Public))
	if err := c.Release(key); err != nil {
		return nil, err
	}
	q.known = e
	return e, nil
}

// key finds the endorsement key where it is stored, or makes it.
func (k kind) key(c *tpm.Conn) (*tpm.Root, error) {
	if key, err := c.Stored(k.stored, k.template); err == nil {
		return key, nil
	}
	key, err := primary(c, k.template)
	if err != nil {
		return nil, fmt.Errorf("make the endorsement key: %w", err)
	}
	return key, nil
}

// readIndex reads an NV index whole; nil if there is none. A longer one than max is none of ours to show.
func readIndex(c *tpm.Conn, handle tpm2.TPMHandle, max int) ([]byte, error) {
	p, err := tpm2.NVReadPublic{NVIndex: handle}.Execute(c)
	if errors.Is(err, tpm2.TPMRCHandle) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	pub, err := p.NVPublic.Contents()
	if err != nil || int(pub.DataSize) > max || !pub.Attributes.Written {
		return nil, err
	}
	auth := tpm2.AuthHandle{Handle: handle, Name: p.NVName, Auth: tpm2.PasswordAuth(nil)}
	if !pub.Attributes.AuthRead {
		auth = tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)}
	}
	const piece = 512 // every TPM gives so much at a time
	var all []byte
	for len(all) < int(pub.DataSize) {
		n := min(piece, int(pub.DataSize)-len(all))
		r, err := tpm2.NVRead{AuthHandle: auth, NVIndex: tpm2.NamedHandle{Handle: handle, Name: p.NVName}, Size: uint16(n), Offset: uint16(len(all))}.Execute(c)
		if err != nil {
			return nil, err
		}
		if len(r.Data.Buffer) != n {
			return nil, fmt.Errorf("NV index %#x gives %d bytes, not %d", uint32(handle), len(r.Data.Buffer), n)
		}
		all = append(all, r.Data.Buffer...)
	}
	return all, nil
}

// certificates cuts DER certificates that stand one after the other; what fills up the index behind them is left. Nothing of them is judged here.
func certificates(raw []byte) (list [][]byte) {
	for len(list) < attest.MaxChain && len(raw) > 4 && raw[0] == 0x30 && raw[1] == 0x82 {
		n := 4 + int(binary.BigEndian.Uint16(raw[2:]))
		if n > len(raw) || n > attest.MaxCertificate {
			break
		}
		list, raw = append(list, raw[:n:n]), raw[n:]
	}
	return list
}
