// Package cputime measures CPU time of one thread, for benchmarks whose figures must not
// depend on what else the machine does. It measures what runs on the calling goroutine;
// the garbage collector's own threads do not count.
package cputime

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// A Meter keeps the smallest measurement of many batches: noise only ever adds.
type Meter struct {
	batches int
	best    time.Duration
}

// Run does one batch, bound to its thread, and measures it.
func (m *Meter) Run(batch func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	from := thread()
	batch()
	used := thread() - from
	if m.batches == 0 || used < m.best {
		m.best = used
	}
	m.batches++
}

// Batches is how many batches were measured.
func (m *Meter) Batches() int { return m.batches }

// Best is the smallest CPU time of a batch; 0 before the first.
func (m *Meter) Best() time.Duration { return m.best }

// thread is the CPU time that the calling thread has used.
func thread() time.Duration { return read(unix.CLOCK_THREAD_CPUTIME_ID) }

// Process is the CPU time that this process has used, the collector's too.
func Process() time.Duration { return read(unix.CLOCK_PROCESS_CPUTIME_ID) }

func read(clock int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		panic(fmt.Sprintf("cputime: read clock %d: %v", clock, err))
	}
	return time.Duration(t.Nano())
}

// MinBatches is how many batches a figure in the documents rests on, at least.
const MinBatches = 60

// A Benchmark is what Report needs of *testing.B.
type Benchmark interface {
	Loop() bool
	ReportMetric(n float64, unit string)
}

// Report runs batches, MinBatches or more, and reports the smallest as cpu-ms/party; each
// batch is the work of that many parties.
func Report(b Benchmark, parties int, batch func()) {
	var m Meter
	for b.Loop() {
		m.Run(batch)
	}
	for m.Batches() < MinBatches {
		m.Run(batch)
	}
	b.ReportMetric(float64(m.Best())/float64(time.Millisecond)/float64(parties), "cpu-ms/party")
}
