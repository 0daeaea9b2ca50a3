package main

import (
	"strings"
	"testing"

	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/provider"
)

// Sizes are taken as people type them, and what could mean two things is refused with what to write instead.
func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1073741824": 1 << 30, "1GiB": 1 << 30, "1G": 1 << 30, "1g": 1 << 30, "512MiB": 512 << 20, "512 MiB": 512 << 20, "64K": 64 << 10, "3kib": 3 << 10, "2T": 2 << 40, "8388607T": 8388607 << 40,
	} {
		var p provider.Limits
		var n node.Limits
		ours, theirs := processLimits(&p), nodeLimits(&n)
		if err := ours.Parse([]string{"--memory", text, "--log-bytes", text}); err != nil || p.Memory != want || p.LogBytes != want {
			t.Errorf("%q is %d, %d, %v; want %d", text, p.Memory, p.LogBytes, err, want)
		}
		if err := theirs.Parse([]string{"--store-bytes=" + text}); err != nil || n.StoreBytes != want {
			t.Errorf("%q is %d, %v; want %d", text, n.StoreBytes, err, want)
		}
		// As the command hands on what was given.
		var again provider.Limits
		if some, err := flagsGiven(processLimits(&again), ours); !some || err != nil || again.Memory != want {
			t.Errorf("%q comes as %d, %v, %v", text, again.Memory, some, err)
		}
	}
	for text, want := range map[string]string{
		"": "powers of 1,024", "G": "give whole", "-1": "give whole", "-1G": "give whole", "1.5G": "give whole", "0x10": "give whole", "1GB": "write GiB", "10mb": "write MiB", "1P": "no unit is", "1Gi": "no unit is", "1 G B": "no unit is", "8388608T": "more bytes than any machine has",
		"99999999999999999999": "give whole", "1GiB1": "give whole", "1\n": "give whole", "1G\n": "give whole",
	} {
		var p provider.Limits
		if err := processLimits(&p).Parse([]string{"--memory=" + text}); err == nil || !strings.Contains(err.Error(), want) || p.Memory != 0 {
			t.Errorf("%q is %d, %v; want %q", text, p.Memory, err, want)
		}
	}
	if help := processLimits(&provider.Limits{}).FlagUsages(); !strings.Contains(help, "--memory size") || !strings.Contains(help, "KiB, MiB, GiB, TiB, all of them powers of 1,024; 0: no limit") {
		t.Errorf("help says\n%s", help)
	}
}
