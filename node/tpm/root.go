package tpm

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/ostraka/ostraka/crypto/transcript"
)

// persistentRoot is where the TCG puts the storage root key, if somebody has stored it.
const persistentRoot tpm2.TPMHandle = 0x81000001

// A Root is the TPM's storage root key: P-256, of the TCG's template (TPM 2.0 Provisioning Guidance 1.1, 7.5.1). It is made anew from the
// TPM's seed each time, and is the same until the TPM is cleared: its name is the name of the TPM.
type Root struct {
	Handle tpm2.TPMHandle
	Name   tpm2.TPM2BName
	Public tpm2.TPMTPublic

	transient bool
}

// Root makes the storage root key, or finds the stored one where the owner's hierarchy has a password. Release forgets it.
func (c *Conn) Root() (*Root, error) {
	r, err := c.Primary(tpm2.TPMRHOwner, tpm2.ECCSRKTemplate)
	if err == nil {
		return r, nil
	}
	if !errors.Is(err, tpm2.TPMRCBadAuth) && !errors.Is(err, tpm2.TPMRCAuthFail) && !errors.Is(err, tpm2.TPMRCHierarchy) {
		return nil, fmt.Errorf("make the storage root key: %w", err)
	}
	stored, readErr := c.Stored(persistentRoot, tpm2.ECCSRKTemplate)
	if readErr != nil {
		return nil, fmt.Errorf("%w: make the storage root key: %w; a stored one is not at %#x either (%w): store it there with the owner's password (tpm2_createprimary, tpm2_evictcontrol)",
			&Error{Device: c.d.String(), Why: ErrHierarchy}, err, uint32(persistentRoot), readErr)
	}
	return stored, nil
}

// Primary makes a primary key of a hierarchy, which has no password.
func (c *Conn) Primary(hierarchy tpm2.TPMHandle, template tpm2.TPMTPublic) (*Root, error) {
	p, err := tpm2.CreatePrimary{
		PrimaryHandle: tpm2.AuthHandle{Handle: hierarchy, Auth: tpm2.PasswordAuth(nil)},
		InPublic:      tpm2.New2B(template),
	}.Execute(c)
	if err != nil {
		return nil, err
	}
	r, err := named(p.ObjectHandle, p.OutPublic, p.Name, template)
	if err != nil {
		return nil, errors.Join(err, c.Flush(p.ObjectHandle))
	}
	r.transient = true
	return r, nil
}

// Stored finds a key of this template that somebody stored in the TPM.
func (c *Conn) Stored(handle tpm2.TPMHandle, template tpm2.TPMTPublic) (*Root, error) {
	p, err := tpm2.ReadPublic{ObjectHandle: handle}.Execute(c)
	if err != nil {
		return nil, err
	}
	return named(handle, p.OutPublic, p.Name, template)
}

// named checks that a key is what was asked for, and that its name is its own: a session is salted to it.
func named(handle tpm2.TPMHandle, public tpm2.TPM2BPublic, name tpm2.TPM2BName, template tpm2.TPMTPublic) (*Root, error) {
	p, err := public.Contents()
	if err != nil {
		return nil, fmt.Errorf("read a key's public part: %w", err)
	}
	own, err := tpm2.ObjectName(p)
	if err != nil {
		return nil, fmt.Errorf("name a key: %w", err)
	}
	like := *p
	like.Unique = template.Unique
	if p.Type != template.Type { // with parts of two kinds it has no bytes
		return nil, fmt.Errorf("the key at %#x is of another form", uint32(handle))
	}
	if !bytes.Equal(own.Buffer, name.Buffer) || !bytes.Equal(tpm2.Marshal(like), tpm2.Marshal(template)) {
		return nil, fmt.Errorf("the key at %#x is of another form, or has another's name", uint32(handle))
	}
	return &Root{Handle: handle, Name: *own, Public: *p}, nil
}

// Release forgets the key in the TPM, unless it is stored there.
func (c *Conn) Release(r *Root) error {
	if !r.transient {
		return nil
	}
	return c.Flush(r.Handle)
}

// Machine names the TPM in a row of a store.
func (r *Root) Machine() [32]byte {
	return transcript.New(transcript.TPMMachine).Bytes(r.Name.Buffer).Sum256()
}

// Session is one command's session under a salt that only the TPM can read: the answer is authenticated, and with In, Out or InOut the first
// parameter of the command, of the answer or of both is encrypted, where they have one of a kind that can be. auth is what opens the object that it
// is used on.
func (r *Root) Session(auth []byte, more ...tpm2.AuthOption) tpm2.Session {
	return tpm2.HMAC(tpm2.TPMAlgSHA256, 16, append([]tpm2.AuthOption{r.Salt(), tpm2.Auth(auth)}, more...)...)
}

// Salt is what makes a session such a one.
func (r *Root) Salt() tpm2.AuthOption { return tpm2.Salted(r.Handle, r.Public) }

// What a session encrypts.
var (
	In    = tpm2.AESEncryption(128, tpm2.EncryptIn)
	Out   = tpm2.AESEncryption(128, tpm2.EncryptOut)
	InOut = tpm2.AESEncryption(128, tpm2.EncryptInOut)
)
