package slip39

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/ostraka/ostraka/crypto/secret"
)

// A Group is Threshold-of-Count shares.
type Group struct{ Threshold, Count int }

// Options of a set of shares.
type Options struct {
	Identifier *uint16 // 15 bits; nil draws them
	Plain      bool    // not extendable, as shares were before 2024: for tests and old devices
	Exponent   int     // e, 0 to 15: slows down who tries passphrases; without one it does nothing
	Passphrase []byte  // printable ASCII; none is as good as the empty one
}

const (
	atSecret = 255
	atDigest = 254
	digest   = 4 // bytes
)

// Split makes the shares of every group, of which any groupThreshold give the secret back, each group by any
// Threshold of its members. secret has 16 to 64 bytes, an even number. r is read for randomness only: the same bytes give the
// same shares.
func Split(master []byte, groupThreshold int, groups []Group, o Options, r io.Reader) ([][]Share, error) {
	if err := checkSplit(master, groupThreshold, groups, o); err != nil {
		return nil, fmt.Errorf("split a secret: %w", err)
	}
	id, err := identifier(o, r)
	if err != nil {
		return nil, err
	}
	c, err := newCipher(id, !o.Plain, o.Exponent, o.Passphrase)
	if err != nil {
		return nil, fmt.Errorf("split a secret: %w", err)
	}
	encrypted, err := c.encrypt(master)
	if err != nil {
		return nil, fmt.Errorf("split a secret: %w", err)
	}
	defer secret.Wipe(encrypted)
	ofGroups, err := deal(encrypted, groupThreshold, len(groups), r)
	if err != nil {
		return nil, err
	}
	all := make([][]Share, len(groups))
	for i, g := range groups {
		members, err := deal(ofGroups[i], g.Threshold, g.Count, r)
		if err != nil {
			return nil, err
		}
		secret.Wipe(ofGroups[i])
		for j, value := range members {
			all[i] = append(all[i], Share{
				Identifier: id, Extendable: !o.Plain, Exponent: o.Exponent, Group: i, GroupThreshold: groupThreshold, Groups: len(groups),
				Member: j, MemberThreshold: g.Threshold, value: secret.New(value),
			})
		}
	}
	return all, nil
}

func checkSplit(master []byte, groupThreshold int, groups []Group, o Options) error {
	switch n := len(master); {
	case n < MinSecret || n > MaxSecret || n%2 != 0:
		return fmt.Errorf("it has %d bytes: an even number from %d to %d is allowed", n, MinSecret, MaxSecret)
	case len(groups) < 1 || len(groups) > MaxShares:
		return fmt.Errorf("%d groups: 1 to %d are allowed", len(groups), MaxShares)
	case groupThreshold < 1 || groupThreshold > len(groups):
		return fmt.Errorf("%d groups needed of %d", groupThreshold, len(groups))
	case o.Exponent < 0 || o.Exponent > maxExponent:
		return fmt.Errorf("iteration exponent %d: 0 to %d are allowed", o.Exponent, maxExponent)
	case o.Identifier != nil && *o.Identifier > maxIdentifier:
		return fmt.Errorf("identifier %d: it has 15 bits", *o.Identifier)
	}
	for i, g := range groups {
		switch {
		case g.Count < 1 || g.Count > MaxShares:
			return fmt.Errorf("group %d has %d shares: 1 to %d are allowed", i+1, g.Count, MaxShares)
		case g.Threshold < 1 || g.Threshold > g.Count:
			return fmt.Errorf("group %d needs %d shares of %d", i+1, g.Threshold, g.Count)
		case g.Threshold == 1 && g.Count > 1:
			// The shares would be copies of one another, and look as if they were different.
			return fmt.Errorf("group %d needs 1 share of %d: the standard allows 1-of-1 alone; copy that share instead", i+1, g.Count)
		}
	}
	return nil
}

func identifier(o Options, r io.Reader) (uint16, error) {
	if o.Identifier != nil {
		return *o.Identifier, nil
	}
	b, err := draw(r, 2)
	if err != nil {
		return 0, err
	}
	return (uint16(b[0])<<8 | uint16(b[1])) & maxIdentifier, nil
}

func draw(r io.Reader, n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("split a secret: read randomness: %w", err)
	}
	return b, nil
}

// deal shares a value t-of-n: t − 2 random shares, the value at 255, and at 254 a digest of it under a random key, by which a
// false share is found when they are combined (spec/slip39 2.2).
func deal(value []byte, t, n int, r io.Reader) ([][]byte, error) {
	shares := make([][]byte, n)
	if t == 1 { // any of several groups: each has the value itself
		for x := range shares {
			shares[x] = append([]byte(nil), value...)
		}
		return shares, nil
	}
	var points []point
	for x := range t - 2 {
		y, err := draw(r, len(value))
		if err != nil {
			return nil, err
		}
		points = append(points, point{byte(x), y})
	}
	key, err := draw(r, len(value)-digest)
	if err != nil {
		return nil, err
	}
	defer secret.Wipe(key)
	proof := append(digestOf(key, value), key...)
	defer secret.Wipe(proof)
	points = append(points, point{atDigest, proof}, point{atSecret, value})
	for x := range shares {
		if x < t-2 {
			shares[x] = points[x].y
			continue
		}
		shares[x] = interpolate(points, byte(x))
	}
	return shares, nil
}

func digestOf(key, value []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(value)
	return h.Sum(nil)[:digest:digest]
}

var errDigest = errors.New("the shares do not belong together, or one of them is false: their words are right, and what they give is not")

// undeal gives the value back from exactly t shares.
func undeal(points []point) ([]byte, error) {
	if len(points) == 1 {
		return append([]byte(nil), points[0].y...), nil
	}
	value, proof := interpolate(points, atSecret), interpolate(points, atDigest)
	defer secret.Wipe(proof)
	if !hmac.Equal(digestOf(proof[digest:], value), proof[:digest]) {
		secret.Wipe(value)
		return nil, errDigest
	}
	return value, nil
}
