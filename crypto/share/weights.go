package share

import (
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
)

// LagrangeAll is Lagrange for every index of the set, in its order, at the cost of one inversion:
// λᵢ = (Π_{j≠i} xⱼ) / (Π_{j≠i} (xⱼ − xᵢ)), all denominators inverted together (Montgomery's trick). Indices are public.
func LagrangeAll(g group.Group, set []Index) ([]group.Scalar, error) {
	if err := CheckIndices(set); err != nil {
		return nil, fmt.Errorf("interpolate: %w", err)
	}
	x := make([]group.Scalar, len(set))
	for i, v := range set {
		x[i] = g.Scalar(uint64(v))
	}
	num, den, before := make([]group.Scalar, len(set)), make([]group.Scalar, len(set)), make([]group.Scalar, len(set))
	product := g.Scalar(1) // of the denominators before i
	for i := range x {
		num[i], den[i], before[i] = g.Scalar(1), g.Scalar(1), product
		for j := range x {
			if j != i {
				num[i], den[i] = num[i].Mul(x[j]), den[i].Mul(x[j].Sub(x[i]))
			}
		}
		product = product.Mul(den[i])
	}
	inverse := product.Invert() // of the denominators up to i
	for i := len(x) - 1; i >= 0; i-- {
		num[i] = num[i].Mul(inverse).Mul(before[i])
		inverse = inverse.Mul(den[i])
	}
	return num, nil
}
