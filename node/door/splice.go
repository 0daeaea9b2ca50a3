package door

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const copyBytes = 32 << 10 // held per direction

// Splice carries bytes both ways between two connections until both ends have said their last, one fails, ctx ends, or nothing has moved either way
// for idle (never, below zero). The end of one direction is handed on as such, and the other goes on. Both are closed when it returns; up is what went from a to b.
func Splice(ctx context.Context, a, b net.Conn, idle time.Duration) (up, down int64) {
	shut := func() {
		a.Close()
		b.Close()
	}
	defer shut()
	stop := context.AfterFunc(ctx, shut)
	defer stop()
	s := &splice{idle: idle}
	s.moved.Store(time.Now().UnixNano())
	var wg sync.WaitGroup
	carry := func(sum *int64, to, from net.Conn) {
		wg.Go(func() {
			n, ended := s.carry(to, from)
			*sum = n
			if half, ok := to.(interface{ CloseWrite() error }); ended && ok && half.CloseWrite() == nil {
				return
			}
			shut()
		})
	}
	carry(&up, b, a)
	carry(&down, a, b)
	wg.Wait()
	return up, down
}

type splice struct {
	idle  time.Duration
	moved atomic.Int64 // when a byte moved last, either way: Unix nanoseconds
}

// carry copies one direction. ended: the sender said that it was all.
func (s *splice) carry(to, from net.Conn) (sum int64, ended bool) {
	buf := make([]byte, copyBytes)
	for {
		if s.idle > 0 {
			from.SetReadDeadline(time.Unix(0, s.moved.Load()).Add(s.idle)) //nolint:errcheck // then the read fails
		}
		n, err := from.Read(buf)
		if n > 0 {
			now := time.Now()
			s.moved.Store(now.UnixNano())
			if s.idle > 0 {
				to.SetWriteDeadline(now.Add(s.idle)) //nolint:errcheck // likewise
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return sum, false
			}
			sum += int64(n)
			s.moved.Store(time.Now().UnixNano())
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) && time.Since(time.Unix(0, s.moved.Load())) < s.idle:
			// The other direction moved meanwhile.
		default:
			return sum, isEnd(err)
		}
	}
}
