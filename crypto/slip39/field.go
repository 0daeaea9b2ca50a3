package slip39

// mul multiplies in GF(256) modulo x⁸ + x⁴ + x³ + x + 1, without branches or tables (spec/slip39 2.1).
func mul(a, b byte) byte {
	var p byte
	for range 8 {
		p ^= -(b & 1) & a
		a = a<<1 ^ -(a>>7)&0x1b
		b >>= 1
	}
	return p
}

// inv is a²⁵⁴, the inverse of all but 0.
func inv(a byte) byte {
	p := a
	for range 6 { // 254 = 11111110 in binary
		p = mul(mul(p, p), a)
	}
	return mul(p, p)
}

// A point is a polynomial's value at x: x is public, y one secret byte of each polynomial.
type point struct {
	x byte
	y []byte
}

// interpolate gives the values at x of the polynomials of lowest degree through the points, whose x are distinct
// and whose y have one length. Its time depends on x's alone.
func interpolate(points []point, x byte) []byte {
	y := make([]byte, len(points[0].y))
	for i, p := range points {
		weight := byte(1) // Lagrange's, of public numbers
		for j, q := range points {
			if i != j {
				weight = mul(weight, mul(x^q.x, inv(p.x^q.x)))
			}
		}
		for k := range y {
			y[k] ^= mul(p.y[k], weight)
		}
	}
	return y
}
