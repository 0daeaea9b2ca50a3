//go:build linux && nightly

package etcd_test

// Which of a member's syncs fail, of those since its start.
var syncs, newSyncs = upTo(40), upTo(16)

func upTo(n int) (all []int) {
	for i := range n {
		all = append(all, i+1)
	}
	return all
}
