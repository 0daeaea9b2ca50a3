package nitro

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"reflect"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/veraison/go-cose"
)

// theirDocument is how fxamacker/cbor reads what we read.
type theirDocument struct {
	Module      string            `cbor:"module_id"`
	Digest      string            `cbor:"digest"`
	Timestamp   uint64            `cbor:"timestamp"`
	PCRs        map[uint64][]byte `cbor:"pcrs"`
	Certificate []byte            `cbor:"certificate"`
	Bundle      [][]byte          `cbor:"cabundle"`
	PublicKey   []byte            `cbor:"public_key"`
	UserData    []byte            `cbor:"user_data"`
	Nonce       []byte            `cbor:"nonce"`
}

// theirs is what go-cose says of a document's signature, and fxamacker/cbor of its content.
func theirs(raw []byte) (*theirDocument, error) {
	var message cose.UntaggedSign1Message
	if err := message.UnmarshalCBOR(raw); err != nil {
		return nil, err
	}
	strict, err := cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField}.DecMode()
	if err != nil {
		return nil, err
	}
	var d theirDocument
	if err := strict.Unmarshal(message.Payload, &d); err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(d.Certificate)
	if err != nil {
		return nil, err
	}
	v, err := cose.NewVerifier(cose.AlgorithmES384, c.PublicKey)
	if err != nil {
		return nil, err
	}
	return &d, message.Verify(nil, v)
}

func same(t *testing.T, d *Document, their *theirDocument) {
	t.Helper()
	pcrs := map[uint64][]byte{}
	for i, v := range d.PCRs {
		pcrs[uint64(i)] = v[:]
	}
	ours := &theirDocument{d.Module, d.Digest, d.Milliseconds, pcrs, d.Certificate, d.Bundle, d.PublicKey, d.UserData, d.Nonce}
	if !reflect.DeepEqual(ours, their) {
		t.Errorf("they read %+v, we %+v", their, ours)
	}
}

// oracleStep is how many bytes are passed over between those that are turned for both.
var oracleStep = 29

// The libraries take and refuse the genuine document's signature and form as we do, byte by byte, and read the same.
func TestAgainstTheLibraries(t *testing.T) {
	e, trust := sample(t)
	their, err := theirs(e.Document)
	if err != nil {
		t.Fatal(err)
	}
	g, err := e.Authenticate(trust)
	if err != nil {
		t.Fatal(err)
	}
	same(t, g.Document, their)
	for i := 0; i < len(e.Document); i += oracleStep {
		e.Document[i] ^= 1 << (i % 8)
		_, ours := e.Authenticate(trust)
		if _, their := theirs(e.Document); (ours == nil) != (their == nil) {
			t.Errorf("document with a byte turned at %d: ours %v, theirs %v", i, ours, their)
		}
		e.Document[i] ^= 1 << (i % 8)
	}
}

// What we read of any bytes, fxamacker/cbor reads as well.
func FuzzDocument(f *testing.F) {
	e, _ := sample(f)
	f.Add(e.Document)
	f.Add(made(f).make().Document)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Read(b)
		if err != nil {
			return
		}
		var their theirDocument
		if err := cbor.Unmarshal(d.payload, &their); err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		same(t, d, &their)
	})
}

// The bytes that a signature is over are those of go-cose.
func TestSigned(t *testing.T) {
	for _, n := range []int{0, 1, 23, 24, 255, 256, 4096, MaxDocument} {
		d := &Document{payload: bytes.Repeat([]byte{7}, n)}
		want, err := cbor.Marshal([]any{"Signature1", protected, []byte{}, d.payload})
		if err != nil || !bytes.Equal(d.signed(), want) {
			t.Errorf("payload of %d: %x, %v", n, d.signed(), err)
		}
	}
	if b := appendBytes(nil, make([]byte, 65535)); binary.BigEndian.Uint16(b[1:]) != 65535 {
		t.Error("length of 65535 bytes is lost")
	}
}
