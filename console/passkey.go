package console

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"

	"github.com/ostraka/ostraka/custody/signet"
)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// patience is how long the browser waits for a finger, in milliseconds. The command has its own time.
const patience = 5 * 60 * 1000

type credential struct {
	Type string `json:"type"`
	ID   string `json:"id,omitempty"`
	Alg  int    `json:"alg,omitempty"`
}

type getOptions struct {
	Challenge        string       `json:"challenge"`
	RPID             string       `json:"rpId"`
	AllowCredentials []credential `json:"allowCredentials"`
	UserVerification string       `json:"userVerification"`
	Timeout          int          `json:"timeout"`
}

// Sign lets the key's owner sign a message for one verb, on a page that shows it. The answer is verified here.
func (s *Page) Sign(ctx context.Context, k signet.Key, verb signet.Verb, message []byte, shown Shown) ([]byte, error) {
	p, ok := k.Passkey()
	if !ok || p.Origin != s.origin {
		return nil, fmt.Errorf("sign on a page of %s with key %s: %w", s.origin, k.Fingerprint(), ErrOrigin)
	}
	challenge := signet.PasskeyChallenge(k, verb, message)
	shown.ask = ceremony{"get", getOptions{
		b64(challenge[:]), p.RPID, []credential{{Type: "public-key", ID: b64(p.Credential)}}, "required", patience,
	}}
	var armored []byte
	err := s.Ask(ctx, shown, func(response []byte) (err error) {
		armored, err = signet.FromPasskey(k, verb, message, response)
		return err
	})
	if err != nil {
		return nil, err
	}
	return armored, nil
}

type entity struct {
	ID          string `json:"id,omitempty"`
	Name        string `json:"name"`
	DisplayName string `json:"displayName,omitempty"`
}

type selection struct {
	ResidentKey      string `json:"residentKey"`
	UserVerification string `json:"userVerification"`
}

type createOptions struct {
	Challenge   string       `json:"challenge"`
	RP          entity       `json:"rp"`
	User        entity       `json:"user"`
	Params      []credential `json:"pubKeyCredParams"`
	Selection   selection    `json:"authenticatorSelection"`
	Attestation string       `json:"attestation"`
	Timeout     int          `json:"timeout"`
}

// rpID of every page of this program: the host of its origin.
const rpID = "localhost"

// Register lets a person make a passkey of this origin, on any authenticator that verifies its owner. name is what the authenticator
// shows.
func (s *Page) Register(ctx context.Context, name string) (signet.Key, error) {
	random := make([]byte, 48)
	rand.Read(random) //nolint:errcheck // never fails
	challenge, user := random[:32], random[32:]
	o := createOptions{
		Challenge: b64(challenge), RP: entity{ID: rpID, Name: "Ostraka"}, User: entity{b64(user), name, name},
		Selection: selection{"discouraged", "required"}, Attestation: "none", Timeout: patience,
	}
	for _, alg := range passkeyAlgorithms {
		o.Params = append(o.Params, credential{Type: "public-key", Alg: alg})
	}
	shown := Shown{
		Title: "Make a passkey for " + name, Button: "Make a passkey",
		Lead: "A security key, or this computer's own, will ask for your PIN, finger or face. The program then prints the line that stands in the charter.",
		ask:  ceremony{"create", o},
	}
	var key signet.Key
	err := s.Ask(ctx, shown, func(response []byte) (err error) {
		key, err = readRegistration(rpID, s.origin, challenge, response)
		return err
	})
	if err != nil {
		return signet.Key{}, err
	}
	return key, nil
}
