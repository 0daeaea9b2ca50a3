package charter

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// Enacted is a charter to which an officer of every operator of its roster consents, and the nodes that enacted it: each signs at most one
// charter of a version, once the delay is over and nobody has vetoed it there. With all of them it is in force everywhere, and no other of
// that version can be. Values never change.
type Enacted struct {
	Accepted
	Nodes map[string][]byte // operator → 64 bytes, signet.SignNode
}

// Enact returns the charter with a node's signature, once it was checked.
func (e Enacted) Enact(o Operator, sig []byte) (Enacted, error) {
	if err := signet.VerifyNode(o.Identity, e.Statement, sig); err != nil {
		return e, fmt.Errorf("operator %s: %w", o.Name, err)
	}
	nodes := maps.Clone(e.Nodes)
	if nodes == nil {
		nodes = map[string][]byte{}
	}
	nodes[o.Name] = slices.Clone(sig)
	return Enacted{e.Accepted, nodes}, nil
}

// Awaited lists the operators of a roster whose nodes have not enacted it.
func (e Enacted) Awaited(r Roster) (names []string) {
	for _, o := range r.Operators {
		if e.Nodes[o.Name] == nil {
			names = append(names, o.Name)
		}
	}
	return names
}

// Verify checks every signature anew: one officer's and the node's of every operator of the roster, and nobody else's.
func (e Enacted) Verify(c Charter, r Roster) error {
	by, err := c.Acceptors(r)
	if err == nil {
		err = e.Accepted.Verify(by)
	}
	if err != nil {
		return err
	}
	if awaited := e.Awaited(r); len(awaited) > 0 {
		return fmt.Errorf("%s: the nodes of %v have not enacted it", e.name(), awaited)
	}
	if len(e.Nodes) != len(r.Operators) {
		return fmt.Errorf("%s: %d nodes have signed, the roster has %d", e.name(), len(e.Nodes), len(r.Operators))
	}
	for _, o := range r.Operators {
		if err := signet.VerifyNode(o.Identity, e.Statement, e.Nodes[o.Name]); err != nil {
			return fmt.Errorf("operator %s: %w", o.Name, err)
		}
	}
	return nil
}

// Fields of an encoded Enacted, beside Accepted's.
const (
	tagAccepted transcript.Tag = iota + 1
	tagNodes
	tagNode
	tagNodeSignature
)

// nodeSignature is the length of a node's signature, in bytes.
const nodeSignature = 64

// Bytes is the one encoding: tlv of the acceptance and the nodes' signatures in ascending order of operators.
func (e Enacted) Bytes() []byte {
	names := slices.Sorted(maps.Keys(e.Nodes))
	var out transcript.Encoder
	out.Bytes(tagAccepted, e.Accepted.Bytes())
	out.List(tagNodes, len(names), func(i int, out *transcript.Encoder) {
		out.String(tagNode, names[i]).Bytes(tagNodeSignature, e.Nodes[names[i]])
	})
	return out.Sum()
}

// maxEnacted bounds an encoded Accepted of a charter, in bytes.
const maxEnacted = statement.MaxBytes + statement.MaxOperators*(signet.MaxArmored+128)

// DecodeEnacted reads what Bytes wrote. It checks the form; Verify checks the rest.
func DecodeEnacted(b []byte) (Enacted, error) {
	d := transcript.NewDecoder(b)
	raw := d.Bytes(tagAccepted, maxEnacted)
	e := Enacted{Nodes: map[string][]byte{}}
	last := ""
	d.List(tagNodes, 0, statement.MaxOperators, func(_ int, d *transcript.Decoder) {
		name, sig := d.String(tagNode, 64), d.Fixed(tagNodeSignature, nodeSignature)
		if d.Err() != nil {
			return
		}
		if err := statement.CheckLabel(name); err != nil {
			d.Fail(tagNode, err)
		}
		if name <= last {
			d.Fail(tagNode, errors.New("operators are not in ascending order"))
		}
		last = name
		e.Nodes[name] = slices.Clone(sig)
	})
	err := d.Done()
	if err == nil {
		e.Accepted, err = DecodeAccepted(raw)
	}
	if err == nil {
		err = e.Statement.Require(statement.Charter)
	}
	if err != nil {
		return Enacted{}, fmt.Errorf("decode enacted charter: %w", err)
	}
	return e, nil
}
