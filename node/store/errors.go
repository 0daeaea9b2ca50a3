package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

var (
	ErrNotFound = errors.New("no such record")
	ErrConflict = errors.New("record has changed")
	ErrUnknown  = errors.New("outcome unknown: the batch may or may not have been written")
	ErrFull     = errors.New("disk full: nothing was written")
	ErrCorrupt  = errors.New("stored data is damaged")
	ErrInvalid  = errors.New("request breaks a bound of the store")
	ErrClosed   = errors.New("store is closed")
	ErrVersion  = errors.New("store has a format that this program does not know")
	ErrLocked   = errors.New("store is in use by another process")
	ErrForeign  = errors.New("it was not written by this node: somebody else writes to the store, or this is another node's; stop the node, keep the store as it is, close that way in, and put an intact copy back or restore from an export")
	ErrFenced   = errors.New("another replica owns the store now: nothing was written") // and the store is closed for good
)

// Troubled says that an error tells of the store, or of a caller who goes away, and nothing of what was to be read or written: another try may end otherwise.
func Troubled(err error) bool {
	var t interface{ Troubled() bool }
	if errors.As(err, &t) && t.Troubled() {
		return true
	}
	return slices.ContainsFunc([]error{
		ErrUnknown, ErrFull, ErrClosed, ErrCorrupt, ErrFenced, ErrForeign, ErrVersion, ErrLocked, context.Canceled, context.DeadlineExceeded,
	}, func(one error) bool { return errors.Is(err, one) })
}

// A ConflictError names the first condition that did not hold. Nothing was written.
// errors.Is(err, ErrConflict) holds.
type ConflictError struct{ Key string }

func (e *ConflictError) Error() string        { return fmt.Sprintf("record %q has changed", e.Key) }
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// A CorruptError names the record whose stored bytes are not what was written. The
// store neither repairs nor removes it. errors.Is(err, ErrCorrupt) holds; ErrForeign
// too, if it is what was written, and not by this node.
type CorruptError struct {
	Key string // of the record; of a file or page, if the damage lies outside records
	Err error  // what was wrong
}

func (e *CorruptError) Error() string        { return fmt.Sprintf("record %q is damaged: %v", e.Key, e.Err) }
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }
func (e *CorruptError) Unwrap() error        { return e.Err }

// An InvalidError is the caller's own misuse. errors.Is(err, ErrInvalid) holds.
type InvalidError struct{ Reason string }

func (e *InvalidError) Error() string        { return "request breaks a bound of the store: " + e.Reason }
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

func invalid(format string, args ...any) error { return &InvalidError{fmt.Sprintf(format, args...)} }
