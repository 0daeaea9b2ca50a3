//go:build unix

package node

import (
	"os"
	"syscall"
)

// sameOwner gives a file to the owner of another: who administers a node may be root, and its process somebody else. Both are open: a name could lead elsewhere meanwhile.
func sameOwner(f, like *os.File) error {
	of, err := like.Stat()
	if err != nil {
		return err
	}
	st, ok := of.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) == os.Geteuid() && int(st.Gid) == os.Getegid() {
		return nil
	}
	return f.Chown(int(st.Uid), int(st.Gid))
}
