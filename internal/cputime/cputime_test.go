package cputime

import (
	"crypto/sha256"
	"testing"
	"time"
)

// Work counts, sleep does not.
func TestMeterCountsWorkOnly(t *testing.T) {
	var work, sleep Meter
	buf := make([]byte, 1<<20)
	for range 3 {
		work.Run(func() { sha256.Sum256(buf) })
		sleep.Run(func() { time.Sleep(20 * time.Millisecond) })
	}
	if work.Best() <= 0 || work.Batches() != 3 {
		t.Errorf("hashing 1 MiB took %v in %d batches", work.Best(), work.Batches())
	}
	if sleep.Best() >= 20*time.Millisecond {
		t.Errorf("sleeping for 20 ms used %v of CPU", sleep.Best())
	}
}

type fake struct {
	loops  int
	metric map[string]float64
}

func (f *fake) Loop() bool                          { f.loops++; return f.loops < 3 }
func (f *fake) ReportMetric(n float64, unit string) { f.metric[unit] = n }

func TestReportRestsOnEnoughBatches(t *testing.T) {
	f, ran := &fake{metric: map[string]float64{}}, 0
	Report(f, 2, func() { ran++; sha256.Sum256(make([]byte, 1<<12)) })
	if ran < MinBatches || f.metric["cpu-ms/party"] <= 0 {
		t.Errorf("%d batches gave %v", ran, f.metric)
	}
}
