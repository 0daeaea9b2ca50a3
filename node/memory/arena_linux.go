package memory

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// reserve maps size bytes between two pages that nobody may touch: what runs over its end, or before its beginning, ends the process instead of
// reading a neighbour. They are left out of core dumps, and zero in a child that is forked.
func reserve(size int) (whole, room []byte, lock, err error) {
	page := os.Getpagesize()
	size = (size + page - 1) / page * page
	allowed := size
	if limit, err := raiseLimit(); err == nil && limit < uint64(size) {
		allowed = int(limit) / page * page
	}
	for lock = fmt.Errorf("the limit on locked memory is %d bytes", allowed); allowed >= page; allowed = allowed / 2 / page * page {
		if whole, room, err = mapped(allowed, page); err != nil {
			return nil, nil, nil, err
		}
		if lock = unix.Mlock(room); lock == nil {
			return whole, room, nil, nil
		}
		if err := unix.Munmap(whole); err != nil {
			return nil, nil, nil, err
		}
	}
	whole, room, err = mapped(size, page)
	return whole, room, lock, err
}

func mapped(size, page int) (whole, room []byte, err error) {
	whole, err = unix.Mmap(-1, 0, size+2*page, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, nil, err
	}
	room = whole[page : page+size : page+size]
	err = errors.Join(unix.Mprotect(room, unix.PROT_READ|unix.PROT_WRITE), unix.Madvise(room, unix.MADV_DONTDUMP), unix.Madvise(room, unix.MADV_WIPEONFORK))
	if err != nil {
		return nil, nil, errors.Join(err, unix.Munmap(whole))
	}
	return whole, room, nil
}

func giveBack(whole []byte) error { return unix.Munmap(whole) }

// raiseLimit brings the limit on locked memory to the highest that this user may have, and returns it.
func raiseLimit() (uint64, error) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &l); err != nil {
		return 0, err
	}
	if l.Cur < l.Max {
		l.Cur = l.Max
		if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &l); err != nil {
			return 0, err
		}
	}
	return l.Cur, nil
}

// Process guards the whole process. Nobody of its own user may read its memory or trace it, and it leaves no core (PR_SET_DUMPABLE). Where the
// limit on locked memory is infinite, all that it touches is locked too; under any other limit Go, which maps far more than it touches, would soon
// be refused memory and end. Whole says that all is locked.
func Process() (whole bool, err error) {
	limit, err := raiseLimit()
	if err != nil {
		return false, err
	}
	return process(limit)
}

func process(limit uint64) (whole bool, err error) {
	if !traceable {
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
			return false, fmt.Errorf("keep other processes of this user out of its memory: %w", err)
		}
	}
	if limit != unix.RLIM_INFINITY {
		return false, nil
	}
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		return false, fmt.Errorf("lock all memory: %w", err)
	}
	return true, nil
}
