package store

import (
	"math/bits"
	"strings"
)

// Check holds the batch against the bounds above. Every driver calls it first, so
// that a batch good for one is good for all.
func (b Batch) Check() error {
	if len(b.If) > MaxConds {
		return invalid("%d conditions, at most %d are allowed", len(b.If), MaxConds)
	}
	if n := len(b.Put) + len(b.Delete); n > MaxWrites {
		return invalid("%d writes, at most %d are allowed", n, MaxWrites)
	}
	size, conds, writes := 0, make(map[string]bool, len(b.If)), make(map[string]bool, len(b.Put)+len(b.Delete))
	add := func(what, key string, seen map[string]bool, bytes int) error {
		if err := checkKey(key); err != nil {
			return err
		}
		if seen[key] {
			return invalid("%s of key %q stands twice", what, key)
		}
		seen[key] = true
		if size += bytes; size > MaxBytes {
			return invalid("more than %d bytes in one batch, at key %q", MaxBytes, key)
		}
		return nil
	}
	for _, c := range b.If {
		if err := add("condition", c.Key, conds, len(c.Key)); err != nil {
			return err
		}
		if bits.Len64(c.Revision) > 63 { // etcd counts revisions as int64
			return invalid("condition of key %q has revision %d", c.Key, c.Revision)
		}
	}
	for _, e := range b.Put {
		if err := add("write", e.Key, writes, len(e.Key)+len(e.Value)); err != nil {
			return err
		}
	}
	for _, k := range b.Delete {
		if err := add("write", k, writes, len(k)); err != nil {
			return err
		}
	}
	return nil
}

// CheckGet holds the arguments of Get against the bounds.
func CheckGet(key string) error { return checkKey(key) }

// CheckRange holds the arguments of Range against the bounds.
func CheckRange(prefix, after string, limit int) error {
	switch {
	case limit < 1 || limit > MaxLimit:
		return invalid("page of %d items, 1 to %d are allowed", limit, MaxLimit)
	case len(prefix) > MaxKey || len(after) > MaxKey:
		return invalid("prefix or after longer than %d bytes", MaxKey)
	case after != "" && !strings.HasPrefix(after, prefix):
		return invalid("range after %q is outside prefix %q", after, prefix)
	}
	return nil
}

func checkKey(key string) error {
	if len(key) < 1 || len(key) > MaxKey {
		return invalid("key of %d bytes, 1 to %d are allowed", len(key), MaxKey)
	}
	return nil
}
