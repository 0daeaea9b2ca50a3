//go:build cgo

package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	p11 "github.com/miekg/pkcs11"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node/seal/pkcs11"
)

const keyBytes = 32 // AES-256

// token is a session with one token, logged in.
type token struct {
	ctx     *p11.Ctx
	session p11.SessionHandle
	key     p11.ObjectHandle
}

func newToken() pkcs11.Token { return &token{} }

func refuse(code pkcs11.Code, format string, args ...any) error {
	return &pkcs11.Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// Open implements pkcs11.Token.
func (t *token) Open(module, label, key string, pin secret.Bytes, make bool) (string, error) {
	t.ctx = p11.New(module)
	if t.ctx == nil {
		return "", refuse(pkcs11.NoModule, "%s", module)
	}
	if err := t.ctx.Initialize(); err != nil {
		return "", classify("start "+module, err)
	}
	slot, info, err := t.find(label)
	if err != nil {
		return "", err
	}
	// A key is made in a writing session, and nothing else is ever written.
	flags := uint(p11.CKF_SERIAL_SESSION)
	if make {
		flags |= p11.CKF_RW_SESSION
	}
	if t.session, err = t.ctx.OpenSession(slot, flags); err != nil {
		return "", classify("open a session", err)
	}
	if err := t.login(info, pin); err != nil {
		return "", err
	}
	if t.key, err = t.lookFor(key); errors.Is(err, &pkcs11.Error{Code: pkcs11.NoKey}) && make {
		t.key, err = t.generate(key)
	}
	if err != nil {
		return "", err
	}
	if err := t.fit(); err != nil {
		return "", err
	}
	return strings.Join(strings.Fields(fmt.Sprintf("%s %s, serial number %s", info.ManufacturerID, info.Model, info.SerialNumber)), " "), nil
}

// find looks for the one token of a label.
func (t *token) find(label string) (slot uint, info p11.TokenInfo, err error) {
	slots, err := t.ctx.GetSlotList(true)
	if err != nil {
		return 0, info, classify("list the slots", err)
	}
	found := 0
	for _, s := range slots {
		i, err := t.ctx.GetTokenInfo(s)
		if err != nil {
			continue // removed since, or of no concern
		}
		if strings.TrimRight(i.Label, " \x00") == label {
			slot, info = s, i
			found++
		}
	}
	switch {
	case found == 0:
		return 0, info, refuse(pkcs11.NoToken, "%d tokens are in, none is called %s", len(slots), label)
	case found > 1: // the PIN would be counted by the wrong one
		return 0, info, refuse(pkcs11.NoToken, "%d tokens are called %s", found, label)
	}
	return slot, info, nil
}

// login tries the PIN once, and not at all where a wrong one would lock the token.
func (t *token) login(info p11.TokenInfo, pin secret.Bytes) error {
	switch {
	case info.Flags&p11.CKF_USER_PIN_LOCKED != 0:
		return refuse(pkcs11.LockedPIN, "")
	case info.Flags&p11.CKF_USER_PIN_FINAL_TRY != 0:
		return refuse(pkcs11.LastPIN, "")
	}
	err := t.ctx.Login(t.session, p11.CKU_USER, string(pin.Expose()))
	if errors.Is(err, p11.Error(p11.CKR_USER_ALREADY_LOGGED_IN)) {
		return nil
	}
	if err != nil {
		return classify("log in", err)
	}
	return nil
}

func secretKey(label string) []*p11.Attribute {
	return []*p11.Attribute{p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY), p11.NewAttribute(p11.CKA_LABEL, label)}
}

func (t *token) lookFor(label string) (p11.ObjectHandle, error) {
	if err := t.ctx.FindObjectsInit(t.session, secretKey(label)); err != nil {
		return 0, classify("look for the key", err)
	}
	found, _, err := t.ctx.FindObjects(t.session, 2)
	if err := errors.Join(err, t.ctx.FindObjectsFinal(t.session)); err != nil {
		return 0, classify("look for the key", err)
	}
	switch len(found) {
	case 0:
		return 0, refuse(pkcs11.NoKey, "")
	case 1:
		return found[0], nil
	}
	return 0, refuse(pkcs11.Unfit, "two keys have its label")
}

// generate makes a key that no one can read, and that can do nothing but this.
func (t *token) generate(label string) (p11.ObjectHandle, error) {
	yes, no := true, false
	k, err := t.ctx.GenerateKey(t.session, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_KEY_GEN, nil)}, append(secretKey(label),
		p11.NewAttribute(p11.CKA_KEY_TYPE, p11.CKK_AES), p11.NewAttribute(p11.CKA_VALUE_LEN, keyBytes),
		p11.NewAttribute(p11.CKA_TOKEN, yes), p11.NewAttribute(p11.CKA_PRIVATE, yes), p11.NewAttribute(p11.CKA_SENSITIVE, yes), p11.NewAttribute(p11.CKA_EXTRACTABLE, no),
		p11.NewAttribute(p11.CKA_MODIFIABLE, no), p11.NewAttribute(p11.CKA_ENCRYPT, yes), p11.NewAttribute(p11.CKA_DECRYPT, yes),
		p11.NewAttribute(p11.CKA_WRAP, no), p11.NewAttribute(p11.CKA_UNWRAP, no), p11.NewAttribute(p11.CKA_SIGN, no), p11.NewAttribute(p11.CKA_VERIFY, no),
	))
	if err != nil {
		return 0, classify("make the key", err)
	}
	return k, nil
}

// fit refuses a key that could be read out, or that was at any time: then it may be known already.
func (t *token) fit() error {
	is := func(a uint) (bool, error) {
		got, err := t.ctx.GetAttributeValue(t.session, t.key, []*p11.Attribute{p11.NewAttribute(a, nil)})
		if err != nil || len(got) != 1 {
			return false, classify("look at the key", errors.Join(err))
		}
		v := got[0].Value
		return len(v) == 1 && v[0] != 0, nil
	}
	for _, c := range []struct {
		attribute uint
		want      bool
		code      pkcs11.Code
		text      string
	}{
		{p11.CKA_SENSITIVE, true, pkcs11.Exportable, "it is not sensitive"},
		{p11.CKA_EXTRACTABLE, false, pkcs11.Exportable, "it is extractable"},
		{p11.CKA_ALWAYS_SENSITIVE, true, pkcs11.Exportable, "it was not sensitive once"},
		{p11.CKA_NEVER_EXTRACTABLE, true, pkcs11.Exportable, "it was extractable once, or was made outside the token"},
		{p11.CKA_PRIVATE, true, pkcs11.Exportable, "it may be used without a PIN"},
		{p11.CKA_ENCRYPT, true, pkcs11.Unfit, "it may not encrypt"},
		{p11.CKA_DECRYPT, true, pkcs11.Unfit, "it may not decrypt"},
	} {
		got, err := is(c.attribute)
		if err != nil {
			return err
		}
		if got != c.want {
			return refuse(c.code, "%s", c.text)
		}
	}
	got, err := t.ctx.GetAttributeValue(t.session, t.key, []*p11.Attribute{p11.NewAttribute(p11.CKA_KEY_TYPE, nil), p11.NewAttribute(p11.CKA_VALUE_LEN, nil)})
	if err != nil || len(got) != 2 {
		return classify("look at the key", errors.Join(err))
	}
	if number(got[0].Value) != p11.CKK_AES || number(got[1].Value) != keyBytes {
		return refuse(pkcs11.Unfit, "it is no AES key of %d bits", 8*keyBytes)
	}
	return nil
}

// number reads a CK_ULONG, which has the machine's own order of bytes: least first on all that we build for.
func number(b []byte) (n uint64) {
	for i, x := range b {
		if i < 8 {
			n |= uint64(x) << (8 * i)
		}
	}
	return n
}

// Wrap implements pkcs11.Token: IV ‖ ciphertext ‖ tag of AES-GCM. Some tokens choose the IV themselves: theirs is taken.
func (t *token) Wrap(data, body []byte) ([]byte, error) {
	iv := make([]byte, pkcs11.IVSize)
	if _, err := rand.Read(iv); err != nil {
		return nil, err
	}
	p := p11.NewGCMParams(iv, data, 128)
	defer p.Free()
	if err := t.ctx.EncryptInit(t.session, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_GCM, p)}, t.key); err != nil {
		return nil, classify("encrypt", err)
	}
	out, err := t.ctx.Encrypt(t.session, body)
	if err != nil {
		return nil, classify("encrypt", err)
	}
	if theirs := p.IV(); len(theirs) == len(iv) {
		iv = theirs
	}
	return append(iv, out...), nil
}

// Unwrap implements pkcs11.Token.
func (t *token) Unwrap(data, body []byte) ([]byte, error) {
	if len(body) <= pkcs11.IVSize {
		return nil, refuse(pkcs11.NotOpens, "")
	}
	p := p11.NewGCMParams(body[:pkcs11.IVSize], data, 128)
	defer p.Free()
	if err := t.ctx.DecryptInit(t.session, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_GCM, p)}, t.key); err != nil {
		return nil, classify("decrypt", err)
	}
	out, err := t.ctx.Decrypt(t.session, body[pkcs11.IVSize:])
	if err != nil {
		// Libraries disagree on what a wrong tag is: SoftHSM says general error. While the token is still there, it is that.
		if c := code(err); c != pkcs11.Removed && t.there() {
			return nil, refuse(pkcs11.NotOpens, "%v", err)
		}
		return nil, classify("decrypt", err)
	}
	return out, nil
}

// there says whether the session still has its key.
func (t *token) there() bool {
	_, err := t.ctx.GetAttributeValue(t.session, t.key, []*p11.Attribute{p11.NewAttribute(p11.CKA_LABEL, nil)})
	return err == nil
}

// code is what a library's error means.
func code(err error) pkcs11.Code {
	var e p11.Error
	if !errors.As(err, &e) {
		return pkcs11.TokenFailed
	}
	switch uint(e) {
	case p11.CKR_PIN_INCORRECT, p11.CKR_PIN_INVALID, p11.CKR_PIN_LEN_RANGE:
		return pkcs11.WrongPIN
	case p11.CKR_PIN_LOCKED, p11.CKR_PIN_EXPIRED:
		return pkcs11.LockedPIN
	case p11.CKR_DEVICE_REMOVED, p11.CKR_TOKEN_NOT_PRESENT, p11.CKR_DEVICE_ERROR, p11.CKR_SESSION_HANDLE_INVALID, p11.CKR_SESSION_CLOSED, p11.CKR_OBJECT_HANDLE_INVALID, p11.CKR_KEY_HANDLE_INVALID:
		return pkcs11.Removed
	case p11.CKR_ENCRYPTED_DATA_INVALID, p11.CKR_ENCRYPTED_DATA_LEN_RANGE:
		return pkcs11.NotOpens
	case p11.CKR_MECHANISM_INVALID, p11.CKR_KEY_FUNCTION_NOT_PERMITTED, p11.CKR_KEY_TYPE_INCONSISTENT, p11.CKR_MECHANISM_PARAM_INVALID:
		return pkcs11.Unfit
	}
	return pkcs11.TokenFailed
}

func classify(what string, err error) error {
	if err == nil {
		err = errors.New("the library gives no answer")
	}
	return refuse(code(err), "%s: %v", what, err)
}
