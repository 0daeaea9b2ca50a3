package tlog

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

const (
	// MaxRequest is the largest body of an add-checkpoint request in bytes.
	MaxRequest = MaxNote + MaxProof*45 + 32
	// ConflictType is the content type of a conflict's body.
	ConflictType = "text/x.tlog.size"
)

// Statuses of C2SP tlog-witness, by HTTP's numbers.
const (
	StatusMalformed    = 400
	StatusUnsigned     = 403
	StatusUnknownLog   = 404
	StatusConflict     = 409
	StatusInconsistent = 422
)

// A Request asks a witness for its cosignature: the body of add-checkpoint (C2SP
// tlog-witness, spec/log 6.5).
type Request struct {
	Old        int64  // size that the log believes the witness to know
	Proof      []Hash // consistency of that size with the checkpoint's; at most MaxProof
	Checkpoint []byte // signed
}

// Encode is the request's body.
func (r Request) Encode() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "old %d\n", r.Old)
	writeHashes(&b, r.Proof)
	b.WriteByte('\n')
	b.Write(r.Checkpoint)
	return b.Bytes()
}

// DecodeRequest reads a request's body of at most MaxRequest bytes, in its one form. No
// signature is verified.
func DecodeRequest(body []byte) (Request, error) {
	bad := func(line int, field, reason string) (Request, error) {
		return Request{}, &FormatError{"add-checkpoint", line, field, reason}
	}
	if len(body) > MaxRequest {
		return bad(0, "body", fmt.Sprintf("has %d bytes, at most %d are allowed", len(body), MaxRequest))
	}
	head, checkpoint, ok := bytes.Cut(body, []byte("\n\n"))
	if !ok {
		return bad(0, "body", "has no empty line before the checkpoint")
	}
	lines := strings.Split(string(head), "\n")
	text, ok := strings.CutPrefix(lines[0], "old ")
	if !ok {
		return bad(1, "old size", "is missing")
	}
	old, reason := parseSize(text)
	if reason != "" {
		return bad(1, "old size", reason)
	}
	proof, err := parseHashes("add-checkpoint", lines[1:], 2)
	if err != nil {
		return Request{}, err
	}
	if _, err := splitNote(checkpoint); err != nil {
		return Request{}, fmt.Errorf("add-checkpoint: %w", err)
	}
	return Request{Old: old, Proof: proof, Checkpoint: checkpoint}, nil
}

// Origin is the log that the checkpoint claims: by it, the witness finds the log's key and what
// it knows of the log.
func (r Request) Origin() string {
	origin, _, _ := bytes.Cut(r.Checkpoint, []byte("\n"))
	return string(origin)
}

// Seen is what a witness keeps of a log: the latest head that it cosigned, and the checkpoint
// that says so, with the log's signature alone. The zero value has seen nothing.
type Seen struct {
	Head   Head
	Signed []byte
}

// A Refusal is a witness's no.
type Refusal struct {
	Status int   // of HTTP
	Known  int64 // in a conflict: the size that the witness knows
	Err    error // why; a *ForkError, *RollbackError or *InconsistentError, whatever the status is
}

func (e *Refusal) Error() string { return fmt.Sprintf("not cosigned (%d): %v", e.Status, e.Err) }

func (e *Refusal) Unwrap() error { return e.Err }

// Body is the answer's body and content type.
func (e *Refusal) Body() (contentType string, body []byte) {
	if e.Status == StatusConflict {
		return ConflictType, fmt.Appendf(nil, "%d\n", e.Known)
	}
	return "text/plain; charset=utf-8", []byte(e.Err.Error() + "\n")
}

// ParseConflict reads a conflict's body: the size that the witness knows.
func ParseConflict(body []byte) (int64, error) {
	text, ended := strings.CutSuffix(string(body[:min(len(body), 32)]), "\n")
	size, reason := parseSize(text)
	if !ended && reason == "" {
		reason = "does not end with a newline"
	}
	if reason != "" {
		return 0, &FormatError{"conflict", 1, "size", reason}
	}
	return size, nil
}

// A ForkError holds two checkpoints that a log signed, of one size and with different roots:
// it shows different histories to different people. The two convince whoever knows the log's
// key (Compare).
type ForkError struct {
	A, B []byte // signed; what was known before, and what came
}

func (e *ForkError) Error() string {
	return fmt.Sprintf("the log forked: it signed\n%s\nand\n%s", e.A, e.B)
}

// A RollbackError means that a log showed a smaller tree than it did before. It proves nothing:
// old checkpoints stay signed, and anybody may send them.
type RollbackError struct {
	Known, Shown int64 // sizes
}

func (e *RollbackError) Error() string {
	return fmt.Sprintf("the log shows size %d and had size %d", e.Shown, e.Known)
}

// An InconsistentError holds two checkpoints that a log signed, where a request did not show that the larger, which came, grew from the one that was
// known. It proves nothing: without the leaves nobody can say whether it did, and whoever made the request may have made the proof.
type InconsistentError struct {
	Known, Shown []byte // signed
	Err          error  // what is wrong with the proof
}

func (e *InconsistentError) Error() string { return e.Err.Error() }

func (e *InconsistentError) Unwrap() error { return e.Err }

// Compare opens two signed checkpoints of a log and gives a *ForkError if they contradict each
// other by themselves. Of different sizes a consistency proof decides, not this.
func Compare(log LogVerifier, a, b []byte) error {
	first, err := open(a, log, nil)
	if err != nil {
		return err
	}
	second, err := open(b, log, nil)
	if err != nil {
		return err
	}
	if fork(first.checkpoint.Head, second.checkpoint.Head) {
		return &ForkError{first.stripped, second.stripped}
	}
	return nil
}

func fork(a, b Head) bool { return a.Size == b.Size && a.Root != b.Root }

// Judge decides as a witness (C2SP tlog-witness): the log's verifier is the one of the request's
// origin, last is what is kept of that log. It gives what to keep instead; every error is a
// *Refusal. The caller holds the log's place from reading last until the new one is
// durable, and cosigns after that: otherwise two requests at once would set the log back.
func Judge(log LogVerifier, last Seen, r Request) (Seen, Checkpoint, error) {
	no := func(status int, err error) (Seen, Checkpoint, error) {
		return Seen{}, Checkpoint{}, &Refusal{status, last.Head.Size, err}
	}
	if origin := r.Origin(); origin != log.name {
		return no(StatusUnknownLog, fmt.Errorf("no log has the origin %q", origin))
	}
	o, err := open(r.Checkpoint, log, nil)
	if err != nil {
		return no(statusOf(err), err)
	}
	if last.Head.Size == 0 {
		last.Head = Empty
	}
	c := o.checkpoint
	size, known := c.Head.Size, last.Head.Size
	// Whatever is wrong with the request, what the log signed counts.
	var reason error
	switch {
	case fork(c.Head, last.Head):
		reason = &ForkError{last.Signed, o.stripped}
	case size < known:
		reason = &RollbackError{known, size}
	}
	switch {
	case r.Old > size:
		return no(StatusMalformed, first(reason, fmt.Errorf("old size %d is above the checkpoint's, %d", r.Old, size)))
	case r.Old != known:
		return no(StatusConflict, first(reason, fmt.Errorf("old size is %d, %d is known", r.Old, known)))
	}
	if err := CheckConsistency(last.Head, c.Head, r.Proof); err != nil {
		if reason == nil && known > 0 {
			reason = &InconsistentError{last.Signed, o.stripped, err}
		}
		return no(StatusInconsistent, first(reason, err))
	}
	return Seen{c.Head, o.stripped}, c, nil
}

func first(reason, otherwise error) error {
	if reason != nil {
		return reason
	}
	return otherwise
}

// statusOf is the status for a checkpoint that does not open.
func statusOf(err error) int {
	var signature *SignatureError
	var unsigned *UnsignedError
	switch {
	case errors.As(err, &signature), errors.As(err, &unsigned):
		return StatusUnsigned
	case errors.Is(err, ErrEmptyRoot):
		return StatusInconsistent
	}
	return StatusMalformed
}
