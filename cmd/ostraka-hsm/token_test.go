//go:build cgo

package main

import (
	"errors"
	"testing"

	p11 "github.com/miekg/pkcs11"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node/seal/pkcs11"
	"github.com/ostraka/ostraka/node/seal/pkcs11/pkcs11test"
)

// A key that was made here cannot be read, wrapped out, copied to one that can be, or made so, by who has the PIN and speaks to the
// token itself.
func TestKeyIsNotExportable(t *testing.T) {
	x := pkcs11test.New(t, "op1")
	k := &token{}
	if _, err := k.Open(x.Module, x.Label, "ostraka", secret.Copy([]byte(pkcs11test.PIN)), true); err != nil {
		t.Fatal(err)
	}
	c, s := k.ctx, k.session
	refused := func(what string, err error, want uint) {
		t.Helper()
		if !errors.Is(err, p11.Error(want)) {
			t.Errorf("%s: %v, want %v", what, err, p11.Error(want))
		}
	}
	_, err := c.GetAttributeValue(s, k.key, []*p11.Attribute{p11.NewAttribute(p11.CKA_VALUE, nil)})
	refused("read it", err, p11.CKR_ATTRIBUTE_SENSITIVE)
	wrapping, err := c.GenerateKey(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_KEY_GEN, nil)}, []*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY), p11.NewAttribute(p11.CKA_KEY_TYPE, p11.CKK_AES), p11.NewAttribute(p11.CKA_VALUE_LEN, 32),
		p11.NewAttribute(p11.CKA_TOKEN, false), p11.NewAttribute(p11.CKA_WRAP, true),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.WrapKey(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_KEY_WRAP, nil)}, wrapping, k.key)
	refused("wrap it out", err, p11.CKR_KEY_UNEXTRACTABLE)
	for what, a := range map[string]*p11.Attribute{"make it extractable": p11.NewAttribute(p11.CKA_EXTRACTABLE, true), "make it plain": p11.NewAttribute(p11.CKA_SENSITIVE, false)} {
		if err := c.SetAttributeValue(s, k.key, []*p11.Attribute{a}); err == nil {
			t.Errorf("%s: done", what)
		}
		if copied, err := c.CopyObject(s, k.key, []*p11.Attribute{a}); err == nil {
			t.Errorf("%s in a copy: object %d", what, copied)
		}
	}
	if _, err := c.GetAttributeValue(s, k.key, []*p11.Attribute{p11.NewAttribute(p11.CKA_VALUE, nil)}); err == nil {
		t.Error("it can be read now")
	}
	// Keys that are made otherwise are not taken.
	for what, change := range map[string][]*p11.Attribute{
		"extractable": {p11.NewAttribute(p11.CKA_EXTRACTABLE, true)}, "not sensitive": {p11.NewAttribute(p11.CKA_SENSITIVE, false)},
		"not private": {p11.NewAttribute(p11.CKA_PRIVATE, false)}, "short": {p11.NewAttribute(p11.CKA_VALUE_LEN, 16)}, "cannot decrypt": {p11.NewAttribute(p11.CKA_DECRYPT, false)},
	} {
		k.key = generate(t, k, what, change[0])
		want := pkcs11.Exportable
		if what == "short" || what == "cannot decrypt" {
			want = pkcs11.Unfit
		}
		if err := k.fit(); !errors.Is(err, &pkcs11.Error{Code: want}) {
			t.Errorf("%s: %v", what, err)
		}
	}
	generate(t, k, "ostraka", p11.NewAttribute(p11.CKA_SENSITIVE, true))
	if _, err := k.lookFor("ostraka"); !errors.Is(err, &pkcs11.Error{Code: pkcs11.Unfit}) {
		t.Errorf("two keys of one label: %v", err)
	}
}

// generate makes a key as ours but for one attribute.
func generate(t *testing.T, k *token, label string, change *p11.Attribute) p11.ObjectHandle {
	t.Helper()
	template := append(secretKey(label), change)
	for _, a := range []*p11.Attribute{
		p11.NewAttribute(p11.CKA_KEY_TYPE, p11.CKK_AES), p11.NewAttribute(p11.CKA_VALUE_LEN, keyBytes), p11.NewAttribute(p11.CKA_TOKEN, true), p11.NewAttribute(p11.CKA_PRIVATE, true),
		p11.NewAttribute(p11.CKA_SENSITIVE, true), p11.NewAttribute(p11.CKA_EXTRACTABLE, false), p11.NewAttribute(p11.CKA_ENCRYPT, true), p11.NewAttribute(p11.CKA_DECRYPT, true),
	} {
		if a.Type != change.Type {
			template = append(template, a)
		}
	}
	h, err := k.ctx.GenerateKey(k.session, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_KEY_GEN, nil)}, template)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// What SoftHSM cannot show: it locks no token.
func TestCodes(t *testing.T) {
	for e, want := range map[uint]pkcs11.Code{
		p11.CKR_PIN_INCORRECT: pkcs11.WrongPIN, p11.CKR_PIN_LOCKED: pkcs11.LockedPIN, p11.CKR_DEVICE_REMOVED: pkcs11.Removed, p11.CKR_TOKEN_NOT_PRESENT: pkcs11.Removed,
		p11.CKR_MECHANISM_INVALID: pkcs11.Unfit, p11.CKR_ENCRYPTED_DATA_INVALID: pkcs11.NotOpens, p11.CKR_HOST_MEMORY: pkcs11.TokenFailed,
	} {
		if err := classify("x", p11.Error(e)); !errors.Is(err, &pkcs11.Error{Code: want}) {
			t.Errorf("%v: %v", p11.Error(e), err)
		}
	}
	k := &token{}
	for flags, want := range map[uint]pkcs11.Code{p11.CKF_USER_PIN_LOCKED: pkcs11.LockedPIN, p11.CKF_USER_PIN_FINAL_TRY: pkcs11.LastPIN} {
		// A token without a library: were the PIN tried, this would crash.
		if err := k.login(p11.TokenInfo{Flags: flags}, secret.Copy([]byte("1"))); !errors.Is(err, &pkcs11.Error{Code: want}) {
			t.Errorf("flags %x: %v", flags, err)
		}
	}
}
