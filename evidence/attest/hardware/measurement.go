package hardware

import (
	"fmt"
	"strconv"
	"strings"
)

// CheckMeasurement checks the form of a measurement that a charter lists. There is one text per state of a machine: lower case, no spaces.
func CheckMeasurement(text string) error {
	kind, rest, _ := strings.Cut(text, ":")
	parts := strings.Split(rest, ":")
	var lengths []int
	switch Kind(kind) {
	case SNP, Nitro:
		lengths = []int{96}
	case TDX:
		lengths = []int{96, 96}
	case TPM:
		lengths = []int{64}
		if err := checkPCRs(parts[0]); err != nil {
			return fmt.Errorf("measurement %.300q: %w", text, err)
		}
		parts = parts[1:]
	default:
		return fmt.Errorf("measurement %.300q: kind %q is not known; known are %q", text, kind, kinds)
	}
	if len(parts) != len(lengths) {
		return fmt.Errorf("measurement %.300q: it has %d digests, not %d", text, len(parts), len(lengths))
	}
	for i, p := range parts {
		if len(p) != lengths[i] || strings.Trim(p, "0123456789abcdef") != "" {
			return fmt.Errorf("measurement %.300q: digest %d is not %d hexadecimal digits in lower case", text, i+1, lengths[i])
		}
	}
	return nil
}

// checkPCRs checks a list of registers: ascending, with commas.
func checkPCRs(text string) error {
	last := -1
	for s := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n > 23 || n <= last || strconv.Itoa(n) != s {
			return fmt.Errorf("PCRs %.80q are not numbers from 0 to 23, ascending, with commas", text)
		}
		last = n
	}
	return nil
}
