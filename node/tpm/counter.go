package tpm

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/ostraka/ostraka/crypto/transcript"
)

// A Counter is a number in the TPM that only grows: an NV index of the counter type. It is this identity's own.
//
// It has no password: whoever may use the device can raise it, and so stop this node until its operator speaks, and no more. Nobody can lower
// it: if the index is removed and made again, the TPM begins above every count that it ever held (TPM 2.0 Library, part 1, 37.2.4).
type Counter struct {
	d      *Device
	marker [32]byte // stands in the index as its policy, which nothing uses: it tells the indices of nodes on one machine apart
}

// Where indices of a machine's owner lie, and how many places are tried for one that is free.
const (
	firstIndex = 0x01800000
	indexMask  = 0x003fffff
	places     = 16
)

// NewCounter names the counter of a node with this identity; nothing is made.
func NewCounter(d *Device, identity ed25519.PublicKey) *Counter {
	return &Counter{d, transcript.New(transcript.TPMCounter).Bytes(identity).Sum256()}
}

// A Reading is what a TPM holds of a counter.
type Reading struct {
	Machine [32]byte // which TPM
	Made    bool     // there is an index
	Value   uint64   // 0: it was never raised
}

// Read asks the TPM.
func (c *Counter) Read(ctx context.Context) (r Reading, err error) {
	err = c.with(ctx, "read the counter of the TPM", func(conn *Conn, root *Root) error {
		r.Machine = root.Machine()
		at, err := c.find(conn)
		if err != nil || at.name.Buffer == nil {
			return err
		}
		r.Made = true
		r.Value, err = at.read(conn, root)
		return err
	})
	return r, err
}

// Raise adds one, and makes the index first if there is none. It gives the new value.
func (c *Counter) Raise(ctx context.Context) (value uint64, err error) {
	err = c.with(ctx, "raise the counter of the TPM", func(conn *Conn, root *Root) error {
		at, err := c.find(conn)
		if err != nil {
			return err
		}
		if at.name.Buffer == nil {
			if at, err = c.make(conn, at); err != nil {
				return err
			}
		}
		if _, err := (tpm2.NVIncrement{AuthHandle: at.auth(root), NVIndex: tpm2.NamedHandle{Handle: at.handle, Name: at.name}}).Execute(conn); err != nil {
			return err
		}
		// The name changes with the first raise: it says that something was written.
		if at, err = c.find(conn); err != nil {
			return err
		}
		if value, err = at.read(conn, root); err == nil && value == 0 {
			err = errors.New("it is zero after it was raised")
		}
		return err
	})
	return value, err
}

func (c *Counter) with(ctx context.Context, what string, f func(*Conn, *Root) error) error {
	return c.d.Use(ctx, what, func(conn *Conn) error {
		root, err := conn.Root()
		if err != nil {
			return err
		}
		return errors.Join(f(conn, root), conn.Release(root))
	})
}

// index is where a counter lies. Without a name: where it can be made.
type index struct {
	handle  tpm2.TPMHandle
	name    tpm2.TPM2BName
	written bool
}

func (c *Counter) public(handle tpm2.TPMHandle) tpm2.TPMSNVPublic {
	return tpm2.TPMSNVPublic{
		NVIndex: handle, NameAlg: tpm2.TPMAlgSHA256, AuthPolicy: tpm2.TPM2BDigest{Buffer: c.marker[:]}, DataSize: 8,
		Attributes: tpm2.TPMANV{AuthRead: true, AuthWrite: true, NoDA: true, NT: tpm2.TPMNTCounter},
	}
}

// find looks for the index at its places. Another's index in the way is passed by.
func (c *Counter) find(conn *Conn) (at index, err error) {
	free := index{}
	for i := range uint32(places) {
		handle := tpm2.TPMHandle(firstIndex | (binary.BigEndian.Uint32(c.marker[:])+i)&indexMask)
		p, err := tpm2.NVReadPublic{NVIndex: handle}.Execute(conn)
		if errors.Is(err, tpm2.TPMRCHandle) {
			if free.handle == 0 {
				free.handle = handle
			}
			continue // one that stood in the way when ours was made may be gone since
		}
		if err != nil {
			return at, fmt.Errorf("look for the counter: %w", err)
		}
		pub, err := p.NVPublic.Contents()
		if err != nil {
			return at, fmt.Errorf("look for the counter: %w", err)
		}
		like := *pub
		like.Attributes.Written = false
		if bytes.Equal(tpm2.Marshal(like), tpm2.Marshal(c.public(handle))) {
			name, err := tpm2.NVName(pub)
			if err != nil || !bytes.Equal(name.Buffer, p.NVName.Buffer) {
				return at, fmt.Errorf("look for the counter: index %#x has another's name: %w", uint32(handle), err)
			}
			return index{handle, *name, pub.Attributes.Written}, nil
		}
	}
	if free.handle == 0 {
		return at, fmt.Errorf("make the counter: all %d places for it in the TPM are taken", places)
	}
	return free, nil
}

func (c *Counter) make(conn *Conn, at index) (index, error) {
	pub := c.public(at.handle)
	_, err := tpm2.NVDefineSpace{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)}, PublicInfo: tpm2.New2B(pub)}.Execute(conn)
	switch {
	case errors.Is(err, tpm2.TPMRCBadAuth), errors.Is(err, tpm2.TPMRCAuthFail):
		return at, fmt.Errorf("%w: make the counter: the owner's hierarchy has a password; take the password away (tpm2_changeauth -c owner), or set `tpm.counter` to false: %w", ErrHierarchy, err)
	case errors.Is(err, tpm2.TPMRCNVSpace):
		return at, fmt.Errorf("make the counter: the TPM has no room for it: remove indices that nothing uses (tpm2_nvreadpublic, tpm2_nvundefine): %w", err)
	case err != nil:
		return at, fmt.Errorf("make the counter: %w", err)
	}
	name, err := tpm2.NVName(&pub)
	if err != nil {
		return at, err
	}
	return index{handle: at.handle, name: *name}, nil
}

func (i index) auth(root *Root) tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: i.handle, Name: i.name, Auth: root.Session(nil)}
}

func (i index) read(conn *Conn, root *Root) (uint64, error) {
	if !i.written {
		return 0, nil
	}
	r, err := tpm2.NVRead{AuthHandle: i.auth(root), NVIndex: tpm2.NamedHandle{Handle: i.handle, Name: i.name}, Size: 8}.Execute(conn)
	if err != nil {
		return 0, err
	}
	if len(r.Data.Buffer) != 8 {
		return 0, fmt.Errorf("read the counter: %d bytes", len(r.Data.Buffer))
	}
	return binary.BigEndian.Uint64(r.Data.Buffer), nil
}
