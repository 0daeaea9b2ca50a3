// Package cli is what the programs have in common for who types their commands: exit codes, errors that say what to do next, plain text, and the one JSON document.
package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Exit codes (spec/people).
const (
	Done        = 0
	Failed      = 1
	Misused     = 2
	WasRefused  = 3 // by policy, rules or the state of an intent
	DoesNotHold = 4 // what was shown
	IsNotReady  = 5 // too few nodes or members, or they wait for something
)

// A Problem is an error with its exit code and what to do next.
type Problem struct {
	Code int
	Err  error
	Next string
}

func (p *Problem) Error() string { return p.Err.Error() }
func (p *Problem) Unwrap() error { return p.Err }

// Fail makes one.
func Fail(code int, err error, next string) *Problem { return &Problem{code, err, next} }

// Usage is of a command that was typed wrongly; `--help` is what to do next.
func Usage(format string, args ...any) error { return Fail(Misused, fmt.Errorf(format, args...), "") }

func Refused(next, format string, args ...any) error {
	return Fail(WasRefused, fmt.Errorf(format, args...), next)
}

func NotReady(next, format string, args ...any) error {
	return Fail(IsNotReady, fmt.Errorf(format, args...), next)
}

func Unverified(next, format string, args ...any) error {
	return Fail(DoesNotHold, fmt.Errorf(format, args...), next)
}

// An ErrorDocument is the JSON document of a command that failed.
type ErrorDocument struct {
	Error struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Next    string `json:"next,omitempty"`
	} `json:"error"`
}

// Tell says on errs what happened to a command and what to do next; and on document, unless that is nil, the same in JSON.
func (p *Problem) Tell(errs, document io.Writer, c *cobra.Command) int {
	next := p.Next
	if p.Code == Misused && next == "" {
		next = fmt.Sprintf("see `%s --help`", c.CommandPath())
	}
	fmt.Fprintln(errs, Line("%s: %s", c.Root().Name(), p.Err))
	if next != "" {
		fmt.Fprintln(errs, Line("  next: %s", next))
	}
	if document != nil {
		var d ErrorDocument
		d.Error.Code, d.Error.Message, d.Error.Next = p.Code, p.Error(), next
		_ = WriteDocument(document, d)
	}
	return p.Code
}
