package slip39_test

import (
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/ostraka/ostraka/crypto/slip39"
)

func Example() {
	master := []byte("an even number of secret bytes!!")
	groups, err := slip39.Split(master, 1, []slip39.Group{{Threshold: 2, Count: 3}}, slip39.Options{}, rand.Reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	var sheets []string // what three people write down
	for _, share := range groups[0] {
		sheets = append(sheets, strings.Join(share.ExposeWords(), " "))
	}

	var typed []slip39.Share // what two of them type in again
	for _, words := range sheets[1:] {
		share, err := slip39.Parse(words)
		if err != nil {
			fmt.Println(err)
			return
		}
		typed = append(typed, share)
	}
	back, err := slip39.Combine(typed, nil)
	fmt.Println(len(strings.Fields(sheets[0])), "words each;", string(back.Expose()), err)
	// Output: 33 words each; an even number of secret bytes!! <nil>
}
