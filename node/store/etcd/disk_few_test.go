//go:build linux && !nightly

package etcd_test

// Which of a member's syncs fail, of those since its start.
var (
	syncs    = []int{1, 9, 30}
	newSyncs = []int{3, 4} // at the third etcd itself goes on
)
