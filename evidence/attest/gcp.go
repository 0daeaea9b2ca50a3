package attest

import (
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

const (
	gcpIssuer  = "https://accounts.google.com"
	maxGCPLife = 2 * time.Hour // Google gives one
	maxToken   = 8 << 10       // bytes
	maxKeys    = 16
)

// Keys are Google's keys of a day, by their ids.
type Keys map[string]*rsa.PublicKey

// MaxKeys bounds a file of keys, in bytes.
const MaxKeys = maxJSON

// ReadKeys reads the keys as Google publishes them (https://www.googleapis.com/oauth2/v3/certs): a JSON Web Key Set. They change every few
// days, so whoever keeps a token keeps them too.
func ReadKeys(set []byte) (Keys, error) {
	o, err := readObject(set)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	list, _ := o["keys"].([]any)
	if len(list) < 1 || len(list) > maxKeys {
		return nil, fmt.Errorf("keys: %d are listed; 1 to %d are read", len(list), maxKeys)
	}
	all := Keys{}
	for _, x := range list {
		k, _ := x.(object)
		var id, kind, use, alg, n, e string
		if err := k.texts(map[string]*string{"kid": &id, "kty": &kind, "use": &use, "alg": &alg, "n": &n, "e": &e}); err != nil {
			return nil, fmt.Errorf("keys: %w", err)
		}
		modulus, err := base64.RawURLEncoding.Strict().DecodeString(n)
		if err != nil || kind != "RSA" || use != "sig" || alg != "RS256" || e != "AQAB" {
			return nil, fmt.Errorf("keys: %s is no RSA key for RS256", id)
		}
		if all[id] != nil {
			return nil, fmt.Errorf("keys: %s is listed twice", id)
		}
		all[id] = &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 65537}
	}
	return all, nil
}

// GCP verifies an instance identity token of Google Compute Engine, asked for with format=full. The claim is bound if the token's audience is
// the subject's.
func GCP(token []byte, keys Keys, about Subject, now time.Time) (Claim, error) {
	c, err := verifyGCP(token, keys, about, now)
	if err != nil {
		return Claim{}, fmt.Errorf("Google's token: %w", err)
	}
	return c, nil
}

func verifyGCP(token []byte, keys Keys, about Subject, now time.Time) (Claim, error) {
	raw, covered, err := splitToken(token)
	if err != nil {
		return Claim{}, err
	}
	key, err := gcpKey(raw[0], keys)
	if err != nil {
		return Claim{}, err
	}
	if err := verifyRSA(key, covered, raw[2], 2048); err != nil {
		return Claim{}, err
	}
	c, audience, err := readGCP(raw[1])
	if err != nil {
		return Claim{}, err
	}
	switch {
	case c.Issued.After(now.Add(skew)):
		return Claim{}, fmt.Errorf("it is from the future: %s", c.Issued.Format(time.RFC3339))
	case !now.Before(c.Expires):
		return Claim{}, fmt.Errorf("it expired at %s", c.Expires.Format(time.RFC3339))
	case c.Expires.Sub(c.Issued) > maxGCPLife || !c.Expires.After(c.Issued):
		return Claim{}, fmt.Errorf("it says that it holds from %s to %s", c.Issued.Format(time.RFC3339), c.Expires.Format(time.RFC3339))
	case c.Started.After(c.Issued.Add(skew)):
		return Claim{}, errors.New("its instance is younger than the token")
	}
	return c, c.bind(audience, about.Audience(), audiencePrefix)
}

// splitToken gives a token's header, payload and signature, and what the signature covers.
func splitToken(token []byte) (raw [3][]byte, covered []byte, err error) {
	if len(token) > maxToken {
		return raw, nil, fmt.Errorf("it has %d bytes, at most %d are read", len(token), maxToken)
	}
	parts := strings.Split(strings.TrimRight(string(token), "\r\n"), ".")
	if len(parts) != 3 {
		return raw, nil, errors.New("it is no signed JSON Web Token")
	}
	for i, p := range parts {
		// The decoder would pass over line breaks.
		if raw[i], err = base64.RawURLEncoding.Strict().DecodeString(p); err != nil || strings.ContainsAny(p, "\r\n") {
			return raw, nil, errors.New("it is no signed JSON Web Token: it is not base64url")
		}
	}
	return raw, []byte(parts[0] + "." + parts[1]), nil
}

// gcpKey finds the key that a token's header names. The algorithm is ours, not the header's: "none" and keyed hashes are no signatures.
func gcpKey(header []byte, keys Keys) (*rsa.PublicKey, error) {
	o, err := readObject(header)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	var alg, id string
	if err := o.texts(map[string]*string{"alg": &alg, "kid": &id}); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if _, critical := o["crit"]; critical || alg != "RS256" {
		return nil, fmt.Errorf("header: algorithm %q; only RS256 without extensions is read", alg)
	}
	key := keys[id]
	if key == nil {
		return nil, &UnknownError{fmt.Sprintf("key %q is none of those given: Google's keys of its day are needed", id)}
	}
	return key, nil
}

func readGCP(payload []byte) (c Claim, audience string, err error) {
	o, err := readObject(payload)
	if err != nil {
		return Claim{}, "", err
	}
	var issuer string
	if err := o.texts(map[string]*string{"iss": &issuer, "aud": &audience}); err != nil {
		return Claim{}, "", err
	}
	if issuer != gcpIssuer {
		return Claim{}, "", fmt.Errorf("its issuer is %q, not %s", issuer, gcpIssuer)
	}
	google, err := o.object("google")
	if err != nil {
		return Claim{}, "", errors.New("it says nothing of an instance: ask for it with format=full")
	}
	machine, err := google.object("compute_engine")
	if err != nil {
		return Claim{}, "", err
	}
	c = Claim{Provider: gcp}
	if err := machine.texts(map[string]*string{"project_id": &c.Account, "zone": &c.Zone, "instance_id": &c.Instance}); err != nil {
		return Claim{}, "", err
	}
	at := strings.LastIndexByte(c.Zone, '-')
	if at < 1 || !lowercase(c.Zone, "-") {
		return Claim{}, "", fmt.Errorf("zone %q is none of a region", c.Zone)
	}
	c.Region = c.Zone[:at]
	project, err := machine.number("project_number")
	if err != nil {
		return Claim{}, "", err
	}
	c.Also = fmt.Sprint(project)
	for _, x := range []struct {
		from object
		name string
		to   *time.Time
	}{{o, "iat", &c.Issued}, {o, "exp", &c.Expires}, {machine, "instance_creation_timestamp", &c.Started}} {
		seconds, err := x.from.number(x.name)
		if err != nil || seconds > 1<<40 {
			return Claim{}, "", fmt.Errorf("%s is no time", x.name)
		}
		*x.to = time.Unix(seconds, 0).UTC()
	}
	return c, audience, nil
}
