package charter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

func keyLines(keys []signet.Key) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.String())
	}
	return out
}

func readKeys(b statement.Block, name string) ([]signet.Key, error) {
	var out []signet.Key
	for _, line := range b.All(name) {
		k, err := signet.ParseKey(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if k.String() != line {
			return nil, fmt.Errorf("%s: key %s is not in its one form", name, k.Fingerprint())
		}
		out = append(out, k)
	}
	return out, nil
}

func sortedKeys(keys []signet.Key) []signet.Key {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b signet.Key) int { return strings.Compare(a.String(), b.String()) })
	return keys
}

func checkKeys(keys []signet.Key) error {
	if n := len(keys); n < 1 || n > statement.MaxKeys {
		return fmt.Errorf("%d keys are listed, 1 to %d are allowed", n, statement.MaxKeys)
	}
	for _, k := range keys {
		if k.IsZero() {
			return errors.New("a key is empty")
		}
	}
	return ascending(keys, signet.Key.String)
}

// ascending refuses a list that is out of order or holds one item twice: one list, one
// text.
func ascending[T any](list []T, name func(T) string) error {
	for i := 1; i < len(list); i++ {
		switch strings.Compare(name(list[i-1]), name(list[i])) {
		case 0:
			return fmt.Errorf("%.100s stands twice", name(list[i]))
		case 1:
			return fmt.Errorf("%.100s stands after %.100s: the order is ascending", name(list[i]), name(list[i-1]))
		}
	}
	return nil
}

func same(s string) string { return s }
