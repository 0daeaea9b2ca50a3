package tpm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	attest "github.com/ostraka/ostraka/evidence/attest/tpm"
	"github.com/ostraka/ostraka/node/tpm"
)

// eventLogPath is where Linux shows the firmware's log to root, of the first TPM.
const eventLogPath = "/sys/kernel/security/tpm0/binary_bios_measurements"

// maxEventLog is the longest event log that is shown: evidence is to stay below 64 KiB, and what is longer is left out whole, since half of one
// adds up to no PCR.
const maxEventLog = 32 << 10

// akTemplate is the attestation key: it signs nothing but what the TPM itself made (restricted), and is the same as long as the TPM's endorsement
// seed is, without being stored. NoDA: it has no password to guess, and another program's wrong guesses must not silence it.
var akTemplate = tpm2.TPMTPublic{
	Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256,
	ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, NoDA: true, Restricted: true, SignEncrypt: true},
	Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
		Scheme:  tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgECDSA, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256})},
		CurveID: tpm2.TPMECCNistP256,
	}),
	Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{X: tpm2.TPM2BECCParameter{Buffer: make([]byte, 32)}, Y: tpm2.TPM2BECCParameter{Buffer: make([]byte, 32)}}),
}

// A Quoter makes evidence of the machine that a TPM sits in.
type Quoter struct {
	d    *tpm.Device
	pcrs tpm.Selection
	log  string // path of the event log

	mu    sync.Mutex // guards known
	known *endorsement
}

// New makes a quoter over these PCRs.
func New(d *tpm.Device, pcrs tpm.Selection) *Quoter {
	q := &Quoter{d: d, pcrs: pcrs}
	if !strings.HasPrefix(d.String(), "unix:") { // the log is of the machine's own TPM, not of an emulator
		q.log = eventLogPath
	}
	return q
}

// Evidence makes evidence that carries qualifying, in the form of spec/attest 8.1.
func (q *Quoter) Evidence(ctx context.Context, qualifying [32]byte) ([]byte, error) {
	e := &attest.Evidence{EventLog: eventLog(q.log)}
	err := q.d.Use(ctx, "make evidence of the TPM", func(c *tpm.Conn) error {
		k, err := q.endorsement(c)
		if err != nil {
			return err
		}
		e.EKCertificate, e.Chain, e.EK = k.certificate, k.chain, k.public
		ak, err := primary(c, akTemplate)
		if err != nil {
			return fmt.Errorf("make the attestation key: %w", err)
		}
		e.AK = tpm2.Marshal(tpm2.New2B(ak.Public))
		return errors.Join(q.quote(c, ak, qualifying, e), c.Release(ak))
	})
	if err != nil {
		return nil, err
	}
	b := e.Encode()
	if _, err := attest.Decode(b); err != nil { // what we send must be what others read
		return nil, fmt.Errorf("make evidence of the TPM: %w", err)
	}
	return b, nil
}

// primary makes a key of the endorsement hierarchy.
func primary(c *tpm.Conn, template tpm2.TPMTPublic) (*tpm.Root, error) {
	k, err := c.Primary(tpm2.TPMRHEndorsement, template)
	if errors.Is(err, tpm2.TPMRCBadAuth) || errors.Is(err, tpm2.TPMRCAuthFail) {
		return nil, fmt.Errorf("%w: that of endorsement: %w", tpm.ErrHierarchy, err)
	}
	return k, err
}

// tries is how often values are read again, if a PCR was extended between them and the quote.
const tries = 3

func (q *Quoter) quote(c *tpm.Conn, ak *tpm.Root, qualifying [32]byte, e *attest.Evidence) error {
	for range tries {
		values, err := c.ReadPCRs(q.pcrs)
		if err != nil {
			return err
		}
		r, err := tpm2.Quote{
			SignHandle:     tpm2.AuthHandle{Handle: ak.Handle, Name: ak.Name, Auth: tpm2.PasswordAuth(nil)},
			QualifyingData: tpm2.TPM2BData{Buffer: qualifying[:]},
			InScheme:       tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
			PCRSelect:      q.pcrs.List(),
		}.Execute(c)
		if err != nil {
			return fmt.Errorf("quote: %w", err)
		}
		said, err := r.Quoted.Contents()
		if err != nil {
			return fmt.Errorf("read the quote: %w", err)
		}
		quoted, err := said.Attested.Quote()
		if err != nil {
			return fmt.Errorf("read the quote: %w", err)
		}
		h := sha256.New()
		e.PCRs = nil
		for i, v := range values {
			h.Write(v[:])
			e.PCRs = append(e.PCRs, attest.PCR{Index: q.pcrs[i], Value: v})
		}
		if bytes.Equal(h.Sum(nil), quoted.PCRDigest.Buffer) {
			e.Quote, e.Signature = r.Quoted.Bytes(), tpm2.Marshal(r.Signature)
			return nil
		}
	}
	return fmt.Errorf("PCRs %v changed at each of %d quotes: something extends them all the time; select others", q.pcrs, tries)
}

// Answer gives the secret of a challenge (spec/attest 8.3): this TPM alone can, and only for its own attestation key.
func (q *Quoter) Answer(ctx context.Context, challenge []byte) (secret [attest.SecretSize]byte, err error) {
	ch, err := attest.DecodeChallenge(challenge)
	if err != nil {
		return secret, err
	}
	err = q.d.Use(ctx, "answer a challenge to the TPM", func(c *tpm.Conn) error {
		k, err := q.endorsement(c)
		if err != nil {
			return err
		}
		ek, err := k.kind.key(c)
		if err != nil {
			return err
		}
		ak, err := primary(c, akTemplate)
		if err != nil {
			return errors.Join(fmt.Errorf("make the attestation key: %w", err), c.Release(ek))
		}
		secret, err = activate(c, ek, ak, ch)
		return errors.Join(err, c.Release(ak), c.Release(ek))
	})
	return secret, err
}

func activate(c *tpm.Conn, ek, ak *tpm.Root, ch *attest.Challenge) (secret [attest.SecretSize]byte, err error) {
	r, err := tpm2.ActivateCredential{
		// The answer is encrypted to this process: salted to the endorsement key, which is loaded anyway.
		ActivateHandle: tpm2.AuthHandle{Handle: ak.Handle, Name: ak.Name, Auth: ek.Session(nil, tpm.Out)},
		KeyHandle:      tpm2.AuthHandle{Handle: ek.Handle, Name: ek.Name, Auth: tpm2.Policy(tpm2.TPMAlgSHA256, 16, endorsed)},
		CredentialBlob: tpm2.TPM2BIDObject{Buffer: ch.Credential},
		Secret:         tpm2.TPM2BEncryptedSecret{Buffer: ch.Secret},
	}.Execute(c)
	if err != nil {
		return secret, fmt.Errorf("the challenge is not for this TPM and its attestation key: %w", err)
	}
	if len(r.CertInfo.Buffer) != len(secret) {
		return secret, fmt.Errorf("the challenge hides %d bytes, not %d", len(r.CertInfo.Buffer), len(secret))
	}
	return [attest.SecretSize]byte(r.CertInfo.Buffer), nil
}

// endorsed is the policy of an endorsement key: who may use its hierarchy may use it.
func endorsed(t transport.TPM, session tpm2.TPMISHPolicy, nonce tpm2.TPM2BNonce) error {
	_, err := tpm2.PolicySecret{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Auth: tpm2.PasswordAuth(nil)}, PolicySession: session, NonceTPM: nonce}.Execute(t)
	return err
}

// eventLog reads the firmware's log; nil if it cannot be read or is too long. Nobody relies on it.
func eventLog(path string) []byte {
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxEventLog+1))
	if err != nil || len(b) > maxEventLog {
		return nil
	}
	return b
}
