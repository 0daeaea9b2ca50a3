package coin

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/ostraka/ostraka/chain/bitcoin"
)

// decimal reads a number of JSON, such as 0.00012 or 5e-7, moves its point so many places to the right, and cuts off what is then behind it:
// more says that this was not zero. A fraction of a bitcoin moved by 8 is satoshis.
func decimal(text string, places int) (n uint64, more bool, err error) {
	const digits = "0123456789"
	bad := fmt.Errorf("number %.50q: want decimal digits, at most 40 characters, not negative", text)
	mantissa, exponent, signed := text, 0, ""
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa, signed = text[:i], text[i+1:]
		if exponent, err = strconv.Atoi(signed); err != nil {
			return 0, false, bad
		}
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if len(text) > 40 || whole == "" || strings.Trim(whole+fraction, digits) != "" || exponent > 40 || exponent < -40 {
		return 0, false, bad
	}
	all, behind := whole+fraction, ""
	if shift := exponent + places - len(fraction); shift >= 0 {
		all += strings.Repeat("0", shift)
	} else {
		cut := max(0, len(all)+shift)
		all, behind = all[:cut], all[cut:]
	}
	if all = strings.TrimLeft(all, "0"); all == "" {
		all = "0"
	}
	if n, err = strconv.ParseUint(all, 10, 64); err != nil {
		return 0, false, fmt.Errorf("number %.50q is too large", text)
	}
	return n, strings.Trim(behind, "0") != "", nil
}

// sats are satoshis, that an endpoint writes as a fraction of a bitcoin.
type sats uint64

func (s *sats) UnmarshalJSON(b []byte) error {
	n, more, err := decimal(string(b), 8)
	switch {
	case err != nil:
		return err
	case more:
		return fmt.Errorf("amount %.50q has more than 8 decimal places", b)
	case n > bitcoin.MaxMoney:
		return fmt.Errorf("amount %.50q is more than there can be", b)
	}
	*s = sats(n)
	return nil
}

// maxRate is a million satoshis per virtual byte: above it no answer is a fee.
const maxRate = 1_000_000_000

// A rate is satoshis per 1,000 virtual bytes, rounded up, that an endpoint writes as a fraction of a bitcoin; 0 where it knows none, for which
// some write -1.
type rate bitcoin.Rate

func (r *rate) UnmarshalJSON(b []byte) error {
	if *r = 0; strings.HasPrefix(string(b), "-") {
		return nil
	}
	n, more, err := decimal(string(b), 8)
	if err != nil {
		return err
	}
	if more && n < math.MaxUint64 {
		n++
	}
	if n > maxRate {
		return errors.New("a fee above a million satoshis per virtual byte is none")
	}
	*r = rate(n)
	return nil
}
