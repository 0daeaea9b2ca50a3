package share

import (
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
)

// An Index is the point at which a party's share is the polynomial's value: 1 to 65535.
// 0 is where the secret is, and never an index.
type Index uint16

// MaxIndex is the largest index, and so the largest number of shares.
const MaxIndex = 1<<16 - 1

var errZeroIndex = errors.New("share index is 0")

// ParseIndex checks the range of a decoded number.
func ParseIndex(v uint64) (Index, error) {
	if v == 0 {
		return 0, errZeroIndex
	}
	if v > MaxIndex {
		return 0, fmt.Errorf("share index %d is above %d", v, MaxIndex)
	}
	return Index(v), nil
}

// CheckIndices refuses a list with a zero or a repeated index: a zero would hand out the
// secret itself, a repeat makes interpolation divide by zero (TOB-SILA-15).
func CheckIndices(set []Index) error {
	seen := make(map[Index]bool, len(set))
	for _, i := range set {
		if i == 0 {
			return errZeroIndex
		}
		if seen[i] {
			return fmt.Errorf("share index %d appears twice", i)
		}
		seen[i] = true
	}
	return nil
}

// Lagrange is λᵢ = Π_{j≠i} xⱼ/(xⱼ − xᵢ) over the set: the weight of share i in the value
// at 0. It refuses a set with zero or repeated indices, and one without i.
func Lagrange(g group.Group, i Index, set []Index) (group.Scalar, error) {
	if err := CheckIndices(set); err != nil {
		return nil, fmt.Errorf("interpolate: %w", err)
	}
	for _, j := range set {
		if j == i {
			return weight(g, 0, i, set), nil
		}
	}
	return nil, fmt.Errorf("interpolate: index %d is not in the set", i)
}

// weight is Π_{j≠i} (x − xⱼ)/(xᵢ − xⱼ). Indices are public, so is all it computes.
func weight(g group.Group, x, i Index, set []Index) group.Scalar {
	at, xi := g.Scalar(uint64(x)), g.Scalar(uint64(i))
	num, den := g.Scalar(1), g.Scalar(1)
	for _, j := range set {
		if j == i {
			continue
		}
		xj := g.Scalar(uint64(j))
		num, den = num.Mul(at.Sub(xj)), den.Mul(xi.Sub(xj))
	}
	return num.Mul(den.Invert())
}

// Interpolate is the value at 0 of the polynomial through shares[k] at set[k]: the
// secret, if there are at least t shares.
func Interpolate(g group.Group, set []Index, shares []group.Scalar) (group.Scalar, error) {
	if err := checkNodes(set, len(shares)); err != nil {
		return nil, err
	}
	sum := g.Scalar(0)
	for k, i := range set {
		sum = sum.Add(weight(g, 0, i, set).Mul(shares[k]))
	}
	return sum, nil
}

// InterpolatePoints is Interpolate in the exponent, for public points.
func InterpolatePoints(g group.Group, set []Index, points []group.Point) (group.Point, error) {
	if err := checkNodes(set, len(points)); err != nil {
		return nil, err
	}
	return pointAt(g, 0, set, points), nil
}

func pointAt(g group.Group, x Index, set []Index, points []group.Point) group.Point {
	k := make([]group.Scalar, len(set))
	for n, i := range set {
		k[n] = weight(g, x, i, set)
	}
	return g.MultiMulVarTime(k, points)
}

func checkNodes(set []Index, n int) error {
	if len(set) != n {
		return fmt.Errorf("interpolate: %d indices for %d values", len(set), n)
	}
	if n == 0 {
		return errors.New("interpolate: no values")
	}
	if err := CheckIndices(set); err != nil {
		return fmt.Errorf("interpolate: %w", err)
	}
	return nil
}

// CheckPublicShares accepts public shares that lie on one polynomial of degree t−1
// with the value public at 0 (protocols.md 1.2: a record with forged public shares could
// otherwise deceive a new member). It needs at least t shares.
func CheckPublicShares(g group.Group, public group.Point, set []Index, points []group.Point, t int) error {
	if err := checkNodes(set, len(points)); err != nil {
		return err
	}
	if t < 1 || len(set) < t {
		return fmt.Errorf("check public shares: %d shares for threshold %d", len(set), t)
	}
	base, values := set[:t], points[:t]
	if !pointAt(g, 0, base, values).Equal(public) {
		return errors.New("check public shares: they do not give the public key")
	}
	for k := t; k < len(set); k++ {
		if !pointAt(g, set[k], base, values).Equal(points[k]) {
			return fmt.Errorf("check public shares: the share at index %d is not on the polynomial", set[k])
		}
	}
	return nil
}
