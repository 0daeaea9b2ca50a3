package client

import (
	"fmt"
	"regexp"
	"strings"
)

var idBegins = regexp.MustCompile("^[0-9a-f]{8,64}$")

// IDBegins says whether an id can begin so, with 8 or more digits.
func IDBegins(id string) bool { return idBegins.MatchString(id) }

// CheckIntentID wants an intent's id, or 8 or more digits that it begins with. It returns
// ErrMalformed.
func CheckIntentID(id string) error {
	if !IDBegins(id) {
		return fmt.Errorf("%w intent id %.80q: give 8 or more hex digits of it, as `ostraka tx list` shows them", ErrMalformed, id)
	}
	return nil
}

// FindCase finds an intent by its id, or by 8 or more digits that the id begins with.
func FindCase(all []*Case, id string) (*Case, error) {
	if err := CheckIntentID(id); err != nil {
		return nil, err
	}
	var fit []*Case
	for _, c := range all {
		if strings.HasPrefix(c.ID().String(), id) {
			fit = append(fit, c)
		}
	}
	switch len(fit) {
	case 1:
		return fit[0], nil
	case 0:
		return nil, fmt.Errorf("intent %q: %w", id, ErrUnknown)
	}
	return nil, fmt.Errorf("intent %q: %d ids begin so: give more digits", id, len(fit))
}
