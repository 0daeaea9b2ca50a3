package local

import (
	"os"
	"testing"
	"time"
)

func TestUsage(t *testing.T) {
	stat := []byte("12 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 1 0 1 1 1\n")
	if got, err := cpuTime(stat); err != nil || got != 3*time.Second {
		t.Errorf("%s: %v, %v; want 3 s", stat, got, err)
	}
	for _, bad := range []string{"", "12 (a) S 1", "12 (a) S 1 2 3 4 5 6 7 8 9 10 x 50 0"} {
		if _, err := cpuTime([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	if got, err := residentMemory("Name:\tx\nVmRSS:\t   1024 kB\n"); err != nil || got != 1<<20 {
		t.Errorf("%d, %v; want 1 MiB", got, err)
	}
	if _, err := residentMemory("Name:\tx\n"); err == nil {
		t.Error("a status without VmRSS was read")
	}
	if n, err := ResidentMemory(os.Getpid()); err != nil || n == 0 {
		t.Errorf("this process: %d, %v", n, err)
	}
	if _, err := CPUTime(os.Getpid()); err != nil {
		t.Error(err)
	}
}
