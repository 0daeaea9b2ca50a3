package share_test

import (
	"crypto/rand"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/share"
)

// A dealer shares a scalar so that two of three shares give it back. Each receiver checks
// its share against the commitment, which all have seen.
func Example() {
	g := secp256k1.Group{}
	polynomial, err := share.Sample(g, 2, g.Scalar(42), rand.Reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer polynomial.Wipe()

	commitment, err := share.DecodeCommitment(g, polynomial.Commit().Encode(), 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, i := range []share.Index{1, 2, 3} {
		fmt.Println("share", i, "wrong:", commitment.Check(i, polynomial.Eval(i)))
	}

	back, err := share.Interpolate(g, []share.Index{1, 3}, []group.Scalar{polynomial.Eval(1), polynomial.Eval(3)})
	fmt.Println("shares 1 and 3 give it back:", err == nil && back.Equal(g.Scalar(42)))
	fmt.Println("printed:", back)
	// Output:
	// share 1 wrong: <nil>
	// share 2 wrong: <nil>
	// share 3 wrong: <nil>
	// shares 1 and 3 give it back: true
	// printed: [secret]
}
