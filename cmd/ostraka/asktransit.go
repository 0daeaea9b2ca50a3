package main

import (
	"context"
	"io"

	"github.com/ostraka/ostraka/node/memory"
	"github.com/ostraka/ostraka/node/seal/transit"
)

// asksTransit says whether this process was started by another of the program to ask a transit server.
func asksTransit(args []string) bool { return len(args) == 1 && args[0] == transit.Argument }

// askTransit asks one question, with the token and the data key in this process alone. Nobody reads what it would print: the answer says what went wrong.
func askTransit(in io.Reader, out io.Writer) int {
	if err := withoutCores(); err != nil {
		return codeError
	}
	_, _ = memory.Process() // as far as this system lets it: the node that started it has told its operator
	if err := transit.Serve(context.Background(), in, out); err != nil {
		return codeError
	}
	return codeDone
}
