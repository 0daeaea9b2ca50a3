package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"connectrpc.com/connect"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/node/seal"
)

// Exit codes.
const (
	codeDone       = 0
	codeError      = 1
	codeUsage      = 2
	codeRefused    = 3 // by policy, rules or the state of an intent
	codeUnverified = 4 // what was shown does not hold
	codeNotReady   = 5 // too few nodes, or they wait for something
)

// A problem is an error with its exit code and what to do next.
type problem struct {
	code int
	err  error
	next string
}

func (p *problem) Error() string { return p.err.Error() }
func (p *problem) Unwrap() error { return p.err }

type errorDocument struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Next    string `json:"next,omitempty"`
}

func usage(format string, args ...any) error {
	return &problem{code: codeUsage, err: fmt.Errorf(format, args...)}
}

func refused(next, format string, args ...any) error {
	return &problem{codeRefused, fmt.Errorf(format, args...), next}
}

func notReady(next, format string, args ...any) error {
	return &problem{codeNotReady, fmt.Errorf(format, args...), next}
}

func unverified(next, format string, args ...any) error {
	return &problem{codeUnverified, fmt.Errorf(format, args...), next}
}

var classCodes = map[client.Class]int{
	client.Failed: codeError, client.Refused: codeRefused, client.Unverified: codeUnverified, client.NotReady: codeNotReady,
}

// explain finds the exit code of an error, and the next step where the error does not say it.
func explain(err error) *problem {
	var p *problem
	// Of several slots, one whose secret was given and is wrong says more than one whose secret was not given.
	if none := new(seal.NoSlotError); errors.As(err, &none) && sealNext(err) != "" {
		return &problem{codeError, plain(err), sealNext(err)}
	}
	if errors.As(err, &p) {
		return &problem{p.code, plain(err), p.next}
	}
	if strings.HasPrefix(err.Error(), "unknown command") || strings.HasPrefix(err.Error(), "required flag") {
		return &problem{codeUsage, err, ""}
	}
	out := &problem{classCodes[client.Classify(err)], plain(err), ""}
	var identity *client.IdentityError
	var difference *client.Difference
	var nodes *client.NodesError
	var rules *client.RefusedError
	var closed *client.ClosedError
	var early *client.EarlyError
	var unsigned *client.UnsignedError
	var outside *client.OutsideError
	switch {
	case errors.As(err, &unsigned):
		out.next = "run the command again, and touch or confirm the key when it asks"
		out.err = unsigned
		if errors.Is(unsigned, context.Canceled) {
			out.code, out.err = codeError, fmt.Errorf("interrupted: %w", unsigned)
		}
	case errors.Is(err, context.Canceled):
		out.code, out.err, out.next = codeError, errors.New("interrupted"), "run the command again: nothing that was submitted is lost"
	case sealNext(err) != "":
		out.next = sealNext(err)
	case errors.As(err, &identity):
		out.next = "ask the operator by telephone which identity its node has; sign nothing until it is clear"
	case errors.As(err, &difference):
		out.next = "sign nothing; tell the operators named here and compare the copies with them"
	case errors.As(err, &closed):
		out.next = fmt.Sprintf("`ostraka tx explain %.8s` shows each node's rule and reason; what is right can be proposed anew", closed.Case.ID().String())
	case errors.As(err, &rules):
		out.next = "`ostraka vault show NAME` shows what the vault allows, and whom"
	case errors.Is(err, client.ErrMalformed):
		out.code = codeUsage
	case errors.Is(err, client.ErrNoRoster):
		out.next = "an officer of every operator runs `ostraka operator accept`; `ostraka node status` shows the circle once all have"
	case errors.As(err, &early):
		out.next = "`ostraka vault show NAME` shows what the vault waits for"
	case errors.Is(err, client.ErrNoKey):
		out.next = "give --key FILE, or add the key to the ssh-agent with `ssh-add`"
	case errors.As(err, &outside):
		out.next = "read with an SSH key that the circle lists, and hand the wallet's answer in: `ostraka tx approve --typed-data FILE`, then `--wallet-signature HEX`"
	case errors.Is(err, client.ErrUnknown):
		out.next = "check the name, and with `ostraka context list` that you talk to the right circle"
	case errors.Is(err, intent.ErrExpired):
		out.next = "propose the transaction anew"
	case errors.As(err, &nodes) && out.code == codeNotReady && len(nodes.Failures) > 0:
		out.next = fmt.Sprintf("bring back %s, or check the addresses with `ostraka context list`, and try again", strings.Join(slices.Sorted(slices.Values(nodes.Nodes())), ", "))
	case stranger(err):
		out.next = "use the key that the circle lists for you: --key FILE"
	case out.code == codeError && errors.Is(err, fs.ErrNotExist):
		out.next = "check the file's name, and the folder that you are in"
	case out.code == codeUnverified:
		out.next = "sign nothing; tell the operator of the node named here"
	case out.code == codeNotReady:
		out.next = "try again in a while; `ostraka doctor` shows what an operator's node waits for"
	}
	return out
}

// stranger says that nodes do not know the person's key.
func stranger(err error) bool {
	var nodes *client.NodesError
	if !errors.As(err, &nodes) {
		return connect.CodeOf(err) == connect.CodePermissionDenied
	}
	return slices.ContainsFunc(nodes.Failures, func(f client.Failure) bool { return connect.CodeOf(f.Err) == connect.CodePermissionDenied })
}

// plain takes the transport's code word off a node's answer.
func plain(err error) error {
	var answer *connect.Error
	if errors.As(err, &answer) {
		return errors.New(strings.Replace(err.Error(), answer.Error(), client.Failure{Err: answer}.Reason(), 1))
	}
	return err
}
