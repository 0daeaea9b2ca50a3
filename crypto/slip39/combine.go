package slip39

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/crypto/secret"
)

// Combine gives the secret back from exactly as many shares as are needed: the group threshold's number of groups, each
// with its threshold's number of members (spec/slip39 4). What differs between the shares, is missing or too much is named.
func Combine(shares []Share, passphrase []byte) (secret.Bytes, error) {
	groups, err := sorted(shares)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("combine shares: %w", err)
	}
	var points []point
	defer func() {
		for _, p := range points {
			secret.Wipe(p.y)
		}
	}()
	for _, g := range groups {
		value, err := undeal(membersOf(g))
		if err != nil {
			return secret.Bytes{}, fmt.Errorf("combine shares: group %d: %w", g[0].Group+1, err)
		}
		points = append(points, point{byte(g[0].Group), value})
	}
	encrypted, err := undeal(points)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("combine shares: groups: %w", err)
	}
	defer secret.Wipe(encrypted)
	first := shares[0]
	c, err := newCipher(first.Identifier, first.Extendable, first.Exponent, passphrase)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("combine shares: %w", err)
	}
	master, err := c.decrypt(encrypted)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("combine shares: %w", err)
	}
	return secret.New(master), nil
}

func membersOf(group []Share) []point {
	points := make([]point, len(group))
	for i, s := range group {
		points[i] = point{byte(s.Member), s.value.Expose()}
	}
	return points
}

// sorted puts the shares into groups, all of one set and neither more nor fewer than needed.
func sorted(shares []Share) ([][]Share, error) {
	if len(shares) == 0 {
		return nil, errors.New("there are none")
	}
	var groups [][]Share
	for i, s := range shares {
		if err := differs(shares[0], s); err != nil {
			return nil, fmt.Errorf("the first and the one given as number %d %w", i+1, err)
		}
		at := slices.IndexFunc(groups, func(g []Share) bool { return g[0].Group == s.Group })
		if at < 0 {
			groups = append(groups, []Share{s})
			continue
		}
		if s.MemberThreshold != groups[at][0].MemberThreshold {
			return nil, fmt.Errorf("of group %d, one says that %d shares are needed, and another %d: they are of different sets",
				s.Group+1, groups[at][0].MemberThreshold, s.MemberThreshold)
		}
		// The same share twice would count as two.
		if slices.ContainsFunc(groups[at], func(o Share) bool { return o.Member == s.Member }) {
			return nil, fmt.Errorf("share %d of group %d was given twice", s.Member+1, s.Group+1)
		}
		groups[at] = append(groups[at], s)
	}
	if need := shares[0].GroupThreshold; len(groups) != need {
		return nil, fmt.Errorf("shares of %d groups, and those of %d are needed, no more", len(groups), need)
	}
	for _, g := range groups {
		if need := g[0].MemberThreshold; len(g) != need {
			return nil, fmt.Errorf("%d shares of group %d, and %d are needed, no more", len(g), g[0].Group+1, need)
		}
	}
	return groups, nil
}

// differs compares what all shares of one set have in common.
func differs(a, b Share) error {
	switch {
	case a.Identifier != b.Identifier:
		return fmt.Errorf("are of different sets: %d and %d (compare the first two words)", a.Identifier, b.Identifier)
	case a.Extendable != b.Extendable:
		return errors.New("are of different sets: one is extendable")
	case a.Exponent != b.Exponent:
		return fmt.Errorf("are of different sets: iteration exponents %d and %d", a.Exponent, b.Exponent)
	case a.GroupThreshold != b.GroupThreshold:
		return fmt.Errorf("are of different sets: %d and %d groups needed", a.GroupThreshold, b.GroupThreshold)
	case a.Groups != b.Groups:
		return fmt.Errorf("are of different sets: %d and %d groups in all", a.Groups, b.Groups)
	case a.Size() != b.Size():
		return fmt.Errorf("are of different sets: secrets of %d and %d bytes", a.Size(), b.Size())
	}
	return nil
}
