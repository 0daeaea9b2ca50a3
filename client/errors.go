package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"connectrpc.com/connect"
)

// A Class says what an error means for who asked.
type Class uint8

const (
	Failed     Class = iota // something else went wrong
	Refused                 // policy, rules or the state of an intent forbid it
	Unverified              // what was shown does not hold: copies differ, a signature or identity is wrong
	NotReady                // too few nodes answer, or they wait for something: try again
)

// Classify finds the class of an error, also of one that a node answered (spec/people 3).
func Classify(err error) Class {
	var (
		difference *Difference
		identity   *IdentityError
		unverified *VerifyError
		nodes      *NodesError
		refused    *RefusedError
		closed     *ClosedError
		alarm      *AlarmError
		absent     *AbsentError
		early      *EarlyError
		answer     *connect.Error
	)
	switch {
	case errors.As(err, &nodes):
		return nodes.class()
	case errors.As(err, &alarm):
		return Unverified
	case errors.As(err, &refused), errors.Is(err, ErrExists):
		return Refused
	case errors.As(err, &closed):
		return closed.class()
	case errors.As(err, &absent), errors.As(err, &early):
		return NotReady
	case errors.As(err, &difference), errors.As(err, &identity), errors.As(err, &unverified):
		return Unverified
	case errors.As(err, &answer):
		return classOf(answer.Code())
	case errors.Is(err, context.DeadlineExceeded):
		return NotReady
	}
	return Failed
}

func classOf(c connect.Code) Class {
	switch c {
	case connect.CodePermissionDenied, connect.CodeFailedPrecondition, connect.CodeAlreadyExists:
		return Refused
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeResourceExhausted:
		return NotReady
	}
	return Failed
}

// Down says that a node could not be reached at all.
func Down(err error) bool {
	var answer *connect.Error
	var identity *IdentityError
	var unsigned *UnsignedError // it was not the node that did not answer
	if errors.As(err, &identity) || errors.As(err, &unsigned) {
		return false
	}
	if errors.As(err, &answer) {
		c := answer.Code()
		return !connect.IsWireError(err) && (c == connect.CodeUnavailable || c == connect.CodeDeadlineExceeded)
	}
	return errors.Is(err, context.DeadlineExceeded)
}

// An EarlyError says that something is not there yet, and will be when others have done their part.
type EarlyError struct{ What string }

func (e *EarlyError) Error() string { return e.What }

// A VerifyError says that what a node showed does not hold.
type VerifyError struct {
	Node string // empty: not one node's fault
	Err  error
}

func (e *VerifyError) Error() string {
	if e.Node == "" {
		return e.Err.Error()
	}
	return fmt.Sprintf("node %s shows what does not hold: %v", e.Node, e.Err)
}

func (e *VerifyError) Unwrap() error { return e.Err }

// A Failure is one node's error.
type Failure struct {
	Node string
	Err  error
}

const (
	// CertificateWanted is what Go's TLS says of a server that takes nobody without a certificate, as a node's link does.
	CertificateWanted = "tls: certificate required"
	// LinkPort says it in people's words.
	LinkPort = "this is the port between nodes: use the node's people's port, 7701 unless it was changed"
)

// Reason is the error in words, without what the transport puts around it.
func (f Failure) Reason() string {
	if strings.Contains(f.Err.Error(), CertificateWanted) {
		return LinkPort
	}
	var answer *connect.Error
	if !errors.As(f.Err, &answer) {
		return f.Err.Error()
	}
	if Down(f.Err) {
		return "cannot be reached: " + strings.TrimPrefix(answer.Message(), "dial tcp ")
	}
	return answer.Message()
}

// A NodesError says that too few nodes answered.
type NodesError struct {
	What     string // what was asked for
	Need     int    // answers
	Failures []Failure
}

func (e *NodesError) Error() string {
	var reasons []string
	nodes := map[string][]string{}
	for _, f := range e.Failures {
		r := f.Reason()
		if nodes[r] == nil {
			reasons = append(reasons, r)
		}
		nodes[r] = append(nodes[r], f.Node)
	}
	parts := make([]string, len(reasons))
	for i, r := range reasons {
		parts[i] = strings.Join(nodes[r], ", ") + ": " + r
	}
	if len(parts) == 0 {
		return fmt.Sprintf("%s: needs the answers of %d nodes, and the context holds fewer", e.What, e.Need)
	}
	return fmt.Sprintf("%s: %s", e.What, strings.Join(parts, "; "))
}

// Unwrap returns the nodes' own errors.
func (e *NodesError) Unwrap() []error {
	var out []error
	for _, f := range e.Failures {
		out = append(out, f.Err)
	}
	return out
}

// class is the worst of what the nodes answered.
func (e *NodesError) class() Class {
	all := map[Class]int{}
	for _, f := range e.Failures {
		all[Classify(f.Err)]++
	}
	switch {
	case all[Unverified] > 0:
		return Unverified
	case all[Refused] > 0:
		return Refused
	case all[NotReady] > 0 || len(e.Failures) == 0:
		return NotReady
	}
	return Failed
}

// Nodes names the failing nodes.
func (e *NodesError) Nodes() []string {
	var out []string
	for _, f := range e.Failures {
		out = append(out, f.Node)
	}
	return out
}

// class: a session that failed for good is trouble; the rest was refused.
func (e *ClosedError) class() Class {
	if e.Case.State() == "failed" {
		return Failed
	}
	return Refused
}
