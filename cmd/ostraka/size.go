package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// units are what bytes are counted in. All are powers of 1,024, as machines' memory is sold.
var units = map[string]uint{"": 0, "k": 10, "kib": 10, "m": 20, "mib": 20, "g": 30, "gib": 30, "t": 40, "tib": 40}

// sized is said of a flag that counts bytes.
const sized = "bytes, or with a unit: K, M, G, T or KiB, MiB, GiB, TiB, all of them powers of 1,024"

// bytesFlag is a number of bytes as people type it.
type bytesFlag int64

// bytesVar adds a flag that counts bytes.
func bytesVar(f *pflag.FlagSet, to *int64, name, usage string) {
	f.Var((*bytesFlag)(to), name, usage)
}

func (b *bytesFlag) String() string { return strconv.FormatInt(int64(*b), 10) }
func (*bytesFlag) Type() string     { return "size" }

func (b *bytesFlag) Set(text string) error {
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	unit := strings.ToLower(strings.TrimSpace(text[len(digits):]))
	shift, known := units[unit]
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err != nil || n < 0:
		return fmt.Errorf("%.40q is no size: give whole %s", text, sized)
	case unit == "kb" || unit == "mb" || unit == "gb" || unit == "tb":
		return fmt.Errorf("%.40q: some take %s for powers of 1,000, some of 1,024: write %s for the latter, or plain bytes", text, unit, strings.ToUpper(unit[:1])+"iB")
	case !known:
		return fmt.Errorf("%.40q: no unit is %.20q: give %s", text, unit, sized)
	case n > math.MaxInt64>>shift:
		return fmt.Errorf("%.40q is more bytes than any machine has: give fewer", text)
	}
	*b = bytesFlag(n << shift)
	return nil
}
