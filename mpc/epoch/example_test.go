package epoch

import (
	"errors"
	"fmt"
	"testing"
)

// A new member gets a chain from anybody, and believes it for what its operator enrolled: key id and X. Then its
// book stands where its peers stand, and it may prepare a child of that record.
func ExampleOpenChain() {
	l := newLine(&testing.T{}) // three changes of committee
	received := l.chain.Encode()

	chain, err := OpenChain(received, Enrolment{KeyID: l.records[0].KeyID, Public: l.records[0].Public})
	if err != nil {
		fmt.Println(err)
		return
	}
	book := NewBook()
	book.Adopt(chain.Last())
	fmt.Println("epoch", book.Current().Record.Epoch, "after", len(chain.Links()), "certificates")

	next := l.w.record(1, 60, 2, []int{1, 5, 12}, chain.Last().Record, 0)
	fmt.Println("prepare a child:", book.Prepare(next))
	lower := l.w.record(1, 61, 2, []int{0, 1, 5}, l.records[2], 1) // 2 of 3 after 3 of 3
	late := NewBook()
	late.Adopt(chain.Links()[2])
	fmt.Println("prepare a lower threshold:", errors.Is(late.Prepare(lower), ErrLowerThreshold))
	// Output:
	// epoch 3 after 4 certificates
	// prepare a child: <nil>
	// prepare a lower threshold: true
}
