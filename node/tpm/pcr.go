package tpm

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-tpm/tpm2"
)

// A Selection is a set of PCRs of the SHA-256 bank, ascending.
type Selection []uint8

// DefaultSelection binds to the firmware (0), what it loads from cards (2), the boot loader and what it starts (4), and the Secure Boot keys (7).
const DefaultSelection = "sha256:0,2,4,7"

const maxPCR = 23

// ParseSelection reads the form "sha256:0,2,4,7". Empty: DefaultSelection.
func ParseSelection(text string) (Selection, error) {
	if text == "" {
		text = DefaultSelection
	}
	list, ok := strings.CutPrefix(text, "sha256:")
	if !ok {
		return nil, fmt.Errorf("PCRs %q: write sha256: and indices, such as %s", text, DefaultSelection)
	}
	var s Selection
	for _, part := range strings.Split(list, ",") {
		i, err := strconv.ParseUint(part, 10, 8)
		if err != nil || i > maxPCR || strconv.FormatUint(i, 10) != part {
			return nil, fmt.Errorf("PCRs %q: %q is no index from 0 to %d", text, part, maxPCR)
		}
		if slices.Contains(s, uint8(i)) {
			return nil, fmt.Errorf("PCRs %q: %d stands twice", text, i)
		}
		s = append(s, uint8(i))
	}
	slices.Sort(s)
	return s, nil
}

func (s Selection) String() string {
	parts := make([]string, len(s))
	for i, p := range s {
		parts[i] = strconv.Itoa(int(p))
	}
	return "sha256:" + strings.Join(parts, ",")
}

// List is the TPM's form.
func (s Selection) List() tpm2.TPMLPCRSelection {
	bits := make([]byte, 3)
	for _, p := range s {
		bits[p/8] |= 1 << (p % 8)
	}
	return tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgSHA256, PCRSelect: bits}}}
}

// ReadPCRs gives the values of a selection, in its order. What passes is not authenticated: a wrong value makes a policy that does not hold, or a
// quote that does not fit.
func (c *Conn) ReadPCRs(s Selection) ([][32]byte, error) {
	values := make([][32]byte, 0, len(s))
	for rest := s; len(rest) > 0; {
		part := rest[:min(8, len(rest))] // a TPM gives eight at a time
		r, err := tpm2.PCRRead{PCRSelectionIn: part.List()}.Execute(c)
		if err != nil {
			return nil, fmt.Errorf("read PCRs %v: %w", s, err)
		}
		if len(r.PCRValues.Digests) != len(part) {
			return nil, fmt.Errorf("%w: %v gives %d values; switch the bank on in the firmware", ErrBank, part, len(r.PCRValues.Digests))
		}
		for _, d := range r.PCRValues.Digests {
			if len(d.Buffer) != 32 {
				return nil, fmt.Errorf("read PCRs %v: a value has %d bytes", s, len(d.Buffer))
			}
			values = append(values, [32]byte(d.Buffer))
		}
		rest = rest[len(part):]
	}
	return values, nil
}
