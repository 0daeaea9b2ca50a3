package signet

import (
	"bytes"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"github.com/ostraka/ostraka/custody/statement"
)

// The second opinion on passkeys: github.com/go-webauthn/webauthn, which shares no code with ours.

// claimed are the parts of an assertion that d signs.
type claimed struct {
	data   []byte
	client string
}

// library judges an assertion as that library does.
func (c claimed) library(d device, verb Verb, message []byte) error {
	var data protocol.AuthenticatorData
	if err := data.Unmarshal(c.data); err != nil {
		return err
	}
	id := sha256.Sum256([]byte("localhost"))
	if err := data.Verify(id[:], nil, true, true); err != nil {
		return err
	}
	var client protocol.CollectedClientData
	if err := json.Unmarshal([]byte(c.client), &client); err != nil {
		return err
	}
	challenge := PasskeyChallenge(d.key, verb, message)
	return client.Verify(b64(challenge[:]), protocol.AssertCeremony, []string{testOrigin}, nil, nil, protocol.TopOriginExplicitVerificationMode, false)
}

// stricter are the assertions that the library takes and we refuse: what we never ask for, and second forms.
var stricter = map[string]bool{
	"origin in other case": true, "origin with a path": true, "too long": true, "challenge twice": true, "Challenge besides": true, "crossOrigin is null": true, "with extensions": true,
	"not UTF-8": true, "copied and not eligible": true, "reserved flag 1": true, "challenge in Unicode": true, "tokenBinding": true, "reserved flag 5": true,
}

// coseVerify judges r ‖ s, or R ‖ S, by the library.
func coseVerify(t *testing.T, kind string, point, signed, sig []byte) bool {
	t.Helper()
	var key interface {
		Verify(data, sig []byte) (bool, error)
	}
	if kind == statement.Passkey25519 {
		key = &webauthncose.OKPPublicKeyData{
			PublicKeyData: webauthncose.PublicKeyData{KeyType: int64(webauthncose.OctetKey), Algorithm: int64(webauthncose.AlgEdDSA)},
			Curve:         int64(webauthncose.Ed25519), XCoord: point,
		}
	} else {
		x, y := elliptic.UnmarshalCompressed(elliptic.P256(), point)
		key = &webauthncose.EC2PublicKeyData{
			PublicKeyData: webauthncose.PublicKeyData{KeyType: int64(webauthncose.EllipticKey), Algorithm: int64(webauthncose.AlgES256)},
			Curve:         int64(webauthncose.P256), XCoord: x.FillBytes(make([]byte, 32)), YCoord: y.FillBytes(make([]byte, 32)),
		}
		var err error
		if sig, err = asn1.Marshal(ecdsaSignature{new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])}); err != nil {
			t.Fatal(err)
		}
	}
	ok, err := key.Verify(signed, sig)
	return ok && err == nil
}

// Both judge every signature alike: good ones, each bit of them flipped, and numbers at and beyond the edges.
func TestSignaturesAgainstTheLibrary(t *testing.T) {
	n := elliptic.P256().Params().N
	for _, kind := range passkeyKinds {
		d, good := newDevice(t, kind, "alice"), 0
		point, ok := oneText(base64.StdEncoding, lastWord(d.key.String()))
		held, isPasskey := d.key.Passkey()
		if !ok || !isPasskey {
			t.Fatal(d.key)
		}
		for i := range byte(4) {
			signed := []byte{i, 2, 3}
			sig := d.Sign(signed)
			if kind == statement.Passkey256 {
				var err error
				if sig, err = compact(sig); err != nil {
					t.Fatal(err)
				}
			}
			all := [][]byte{sig, make([]byte, 64), bytes.Repeat([]byte{0xff}, 64), slices.Concat(sig[32:], sig[:32])}
			for half := range 2 {
				for _, edge := range []*big.Int{new(big.Int), big.NewInt(1), n, new(big.Int).Sub(n, big.NewInt(1)), new(big.Int).Sub(n, new(big.Int).SetBytes(sig[32:]))} {
					bad := bytes.Clone(sig)
					edge.FillBytes(bad[32*half : 32*half+32])
					all = append(all, bad)
				}
			}
			for bit := range 8 * len(sig) {
				bad := bytes.Clone(sig)
				bad[bit/8] ^= 1 << (bit % 8)
				all = append(all, bad)
			}
			for _, s := range all {
				for _, over := range [][]byte{signed, {i, 2, 4}} {
					ours, theirs := held.public.verify(over, s), coseVerify(t, kind, point, over, s)
					if ours != theirs {
						t.Errorf("%s: over %x signature %x: we say %v, the library %v", kind, over, s, ours, theirs)
					}
					if ours {
						good++
					}
				}
			}
		}
		if want := map[string]int{statement.Passkey256: 8, statement.Passkey25519: 4}[kind]; good != want {
			t.Errorf("%s: %d signatures hold, not %d", kind, good, want)
		}
	}
}

func lastWord(line string) string { return line[strings.LastIndexByte(line, ' ')+1:] }
