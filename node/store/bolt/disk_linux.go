package bolt

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// File systems whose locks and fsyncs end in another machine or program: a lock may
// exclude nobody, and a sync may save nothing.
var networkFS = map[int64]string{
	unix.NFS_SUPER_MAGIC:  "NFS",
	unix.SMB_SUPER_MAGIC:  "SMB",
	unix.SMB2_SUPER_MAGIC: "SMB",
	unix.CIFS_SUPER_MAGIC: "CIFS",
	unix.FUSE_SUPER_MAGIC: "FUSE",
	unix.V9FS_MAGIC:       "9P",
	unix.AFS_SUPER_MAGIC:  "AFS",
	unix.CEPH_SUPER_MAGIC: "Ceph",
	unix.CODA_SUPER_MAGIC: "Coda",
	unix.NCP_SUPER_MAGIC:  "NCP",
}

func refuseNetwork(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("open store: statfs %s: %w", dir, err)
	}
	return judgeFS(dir, int64(st.Type))
}

func judgeFS(dir string, magic int64) error {
	if name, bad := networkFS[magic&0xffffffff]; bad {
		return fmt.Errorf("open store: %s lies on %s: locks and fsync do not hold there; use a local disk", dir, name)
	}
	return nil
}

// freeBytes is how much room the disk of a folder has for us.
func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", dir, err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// allocate gives bytes from..to of f space on the disk, and f at least that size.
func allocate(f *os.File, from, to int64) error {
	if from >= to {
		return nil
	}
	for {
		err := unix.Fallocate(int(f.Fd()), 0, from, to-from)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS):
			return fillZero(f, to)
		default:
			return err
		}
	}
}
