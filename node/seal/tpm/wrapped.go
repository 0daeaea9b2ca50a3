package tpm

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/tpm"
)

const (
	version = 1

	nameSize  = 2 + sha256.Size // of an object: its hash algorithm and hash
	maxObject = 1 << 10
	maxPCR    = 23
)

// Fields of the wrapped form (spec/tpm 5.2).
const (
	tagVersion transcript.Tag = iota + 1
	tagPIN
	tagRoot
	tagPCRs
	tagPublic
	tagPrivate
	tagSealed
)

const (
	tagIndex transcript.Tag = 1
	tagValue transcript.Tag = 2
)

type pcr struct {
	index uint8
	value [32]byte
}

// wrapped is a data key as this provider writes it.
type wrapped struct {
	pin             bool
	root            []byte // name of the root that it was sealed under
	pcrs            []pcr  // when it was sealed, ascending
	public, private []byte // TPM2B_PUBLIC, TPM2B_PRIVATE of the sealed wrapping key
	sealed          []byte // the data key, under the wrapping key
}

func (w *wrapped) head() *transcript.Encoder {
	var e transcript.Encoder
	var pin uint64
	if w.pin {
		pin = 1
	}
	e.Uint(tagVersion, version).Uint(tagPIN, pin).Bytes(tagRoot, w.root)
	e.List(tagPCRs, len(w.pcrs), func(i int, e *transcript.Encoder) {
		e.Uint(tagIndex, uint64(w.pcrs[i].index)).Bytes(tagValue, w.pcrs[i].value[:])
	})
	return e.Bytes(tagPublic, w.public).Bytes(tagPrivate, w.private)
}

func (w *wrapped) encode() []byte { return w.head().Bytes(tagSealed, w.sealed).Sum() }

// data is what is authenticated with the data key: its label, and all fields before it.
func (w *wrapped) data(label seal.Label) ([]byte, error) {
	return label.Data(transcript.SealWrap, w.head().Sum())
}

func decode(b []byte) (*wrapped, error) {
	var w wrapped
	d := transcript.NewDecoder(b)
	if v := d.Uint(tagVersion, 1<<32); d.Err() == nil && v != version {
		return nil, fmt.Errorf("it has version %d, this program knows %d", v, version)
	}
	w.pin = d.Uint(tagPIN, 1) == 1
	w.root = d.Fixed(tagRoot, nameSize)
	d.List(tagPCRs, 1, maxPCR+1, func(i int, d *transcript.Decoder) {
		p := pcr{index: uint8(d.Uint(tagIndex, maxPCR))}
		copy(p.value[:], d.Fixed(tagValue, len(p.value)))
		if i > 0 && d.Err() == nil && p.index <= w.pcrs[i-1].index {
			d.Fail(tagIndex, errors.New("PCRs are not ascending"))
		}
		w.pcrs = append(w.pcrs, p)
	})
	w.public = d.Bytes(tagPublic, maxObject)
	w.private = d.Bytes(tagPrivate, maxObject)
	w.sealed = d.Fixed(tagSealed, seal.KeySize+seal.Overhead)
	return &w, d.Done()
}

func (w *wrapped) selection() (s tpm.Selection) {
	for _, p := range w.pcrs {
		s = append(s, p.index)
	}
	return s
}

// policy is the digest that opens the sealed key: PCRs of these values and, with a PIN, knowledge of it (TPM 2.0 Library, part 3, 23.7 and 23.17).
func (w *wrapped) policy() ([]byte, error) {
	h := sha256.New()
	for _, p := range w.pcrs {
		h.Write(p.value[:])
	}
	calc, err := tpm2.NewPolicyCalculator(tpm2.TPMAlgSHA256)
	if err != nil {
		return nil, err
	}
	err = tpm2.PolicyPCR{PcrDigest: tpm2.TPM2BDigest{Buffer: h.Sum(nil)}, Pcrs: w.selection().List()}.Update(calc)
	if err == nil && w.pin {
		err = tpm2.PolicyAuthValue{}.Update(calc)
	}
	return calc.Hash().Digest, err
}

// satisfy takes the policy's steps in a session: with the PCRs as they are now.
func (w *wrapped) satisfy(t transport.TPM, session tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error {
	_, err := tpm2.PolicyPCR{PolicySession: session, Pcrs: w.selection().List()}.Execute(t)
	if err == nil && w.pin {
		_, err = tpm2.PolicyAuthValue{PolicySession: session}.Execute(t)
	}
	return err
}

func (w *wrapped) load(c *tpm.Conn, root *tpm.Root) (*tpm2.LoadResponse, error) {
	public, err := tpm2.Unmarshal[tpm2.TPM2BPublic](w.public)
	if err != nil {
		return nil, fmt.Errorf("the sealed key's public part: %w", err)
	}
	private, err := tpm2.Unmarshal[tpm2.TPM2BPrivate](w.private)
	if err != nil {
		return nil, fmt.Errorf("the sealed key's private part: %w", err)
	}
	r, err := tpm2.Load{
		ParentHandle: tpm2.AuthHandle{Handle: root.Handle, Name: root.Name, Auth: root.Session(nil)}, InPrivate: *private, InPublic: *public,
	}.Execute(c)
	if errors.Is(err, tpm2.TPMRCIntegrity) {
		return nil, fmt.Errorf("the TPM does not know the sealed key: the key file is damaged: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("load the sealed key: %w", err)
	}
	return r, nil
}
