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
	"github.com/ostraka/ostraka/cmd/cli"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/node/seal"
)

// Words of the room cmd/cli that stand all over this one.
const (
	codeDone       = cli.Done
	codeError      = cli.Failed
	codeUsage      = cli.Misused
	codeRefused    = cli.WasRefused
	codeUnverified = cli.DoesNotHold
	codeNotReady   = cli.IsNotReady
)

type problem = cli.Problem

var (
	fail, usage, refused, notReady, unverified = cli.Fail, cli.Usage, cli.Refused, cli.NotReady, cli.Unverified

	exactly, none, writeLine, writeDocument = cli.Exactly, cli.None, cli.WriteLine, cli.WriteDocument
	line, oneLine, plainText, sentence      = cli.Line, cli.OneLine, cli.PlainText, cli.Sentence
)

var classCodes = map[client.Class]int{
	client.Failed: codeError, client.Refused: codeRefused, client.Unverified: codeUnverified, client.NotReady: codeNotReady,
}

// explain finds the exit code of an error, and the next step where the error does not say it.
func explain(err error) *problem {
	var p *problem
	// Of several slots, one whose secret was given and is wrong says more than one whose secret was not given.
	if none := new(seal.NoSlotError); errors.As(err, &none) && sealNext(err) != "" {
		return fail(codeError, plain(err), sealNext(err))
	}
	if errors.As(err, &p) {
		return fail(p.Code, plain(err), p.Next)
	}
	if strings.HasPrefix(err.Error(), "unknown command") || strings.HasPrefix(err.Error(), "required flag") {
		return fail(codeUsage, err, "")
	}
	out := fail(classCodes[client.Classify(err)], plain(err), "")
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
		out.Next = "run the command again, and touch or confirm the key when it asks"
		out.Err = unsigned
		if errors.Is(unsigned, context.Canceled) {
			out.Code, out.Err = codeError, fmt.Errorf("interrupted: %w", unsigned)
		}
	case errors.Is(err, context.Canceled):
		out.Code, out.Err, out.Next = codeError, errors.New("interrupted"), "run the command again: nothing that was submitted is lost"
	case sealNext(err) != "":
		out.Next = sealNext(err)
	case errors.As(err, &identity):
		out.Next = "ask the operator by telephone which identity its node has; sign nothing until it is clear"
	case errors.As(err, &difference):
		out.Next = "sign nothing; tell the operators named here and compare the copies with them"
	case errors.As(err, &closed):
		out.Next = fmt.Sprintf("`ostraka tx explain %.8s` shows each node's rule and reason; what is right can be proposed anew", closed.Case.ID().String())
	case errors.As(err, &rules):
		out.Next = "`ostraka vault show NAME` shows what the vault allows, and whom"
	case errors.Is(err, client.ErrMalformed):
		out.Code = codeUsage
	case errors.Is(err, client.ErrNoRoster):
		out.Next = "an officer of every operator runs `ostraka operator accept`; `ostraka node status` shows the circle once all have"
	case errors.As(err, &early):
		out.Next = "`ostraka vault show NAME` shows what the vault waits for"
	case errors.Is(err, client.ErrNoKey):
		out.Next = "give --key FILE, or add the key to the ssh-agent with `ssh-add`"
	case errors.As(err, &outside):
		out.Next = "read with an SSH key that the circle lists, and hand the wallet's answer in: `ostraka tx approve --typed-data FILE`, then `--wallet-signature HEX`"
	case errors.Is(err, client.ErrUnknown):
		out.Next = "check the name, and with `ostraka context list` that you talk to the right circle"
	case errors.Is(err, intent.ErrExpired):
		out.Next = "propose the transaction anew"
	case errors.As(err, &nodes) && out.Code == codeNotReady && len(nodes.Failures) > 0:
		out.Next = fmt.Sprintf("bring back %s, or check the addresses with `ostraka context list`, and try again", strings.Join(slices.Sorted(slices.Values(nodes.Nodes())), ", "))
	case stranger(err):
		out.Next = "use the key that the circle lists for you: --key FILE"
	case out.Code == codeError && errors.Is(err, fs.ErrNotExist):
		out.Next = "check the file's name, and the folder that you are in"
	case out.Code == codeUnverified:
		out.Next = "sign nothing; tell the operator of the node named here"
	case out.Code == codeNotReady:
		out.Next = "try again in a while; `ostraka doctor` shows what an operator's node waits for"
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
