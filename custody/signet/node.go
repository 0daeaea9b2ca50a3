package signet

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/eddsa"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/statement"
)

// ErrNodeSignature is returned by VerifyNode when the signature is not the node's.
var ErrNodeSignature = errors.New("signature is not by this node's identity key over these bytes")

// nodeTree is what a node's identity key signs for a statement: a tree under the
// kind's own label. A node signs only the kinds that it decides itself.
func nodeTree(s statement.Statement) ([]byte, error) {
	var label transcript.Label
	switch s.Kind() {
	case statement.Decision:
		label = transcript.NodeDecision
	case statement.Hello:
		label = transcript.NodeHello
	case statement.Key:
		label = transcript.NodeKeyChoice
	case statement.Charter:
		label = transcript.NodeEnact
	case statement.Heartbeat:
		label = transcript.NodeHeartbeat
	case statement.Log:
		label = transcript.NodeLog
	case statement.SOSStep:
		label = transcript.NodeSOSStep
	case statement.SOSNoVeto:
		label = transcript.NodeSOSNoVeto
	case statement.SOSSeat:
		label = transcript.NodeSOSSeat
	case statement.SOSActivation:
		label = transcript.NodeSOSActivation
	case statement.SOSReleased:
		label = transcript.NodeSOSReleased
	case statement.Backup:
		label = transcript.NodeBackup
	default:
		return nil, fmt.Errorf("a node does not sign statements of kind %q", s.Kind())
	}
	return transcript.New(label).Bytes(s.Bytes()).Tree(), nil
}

// SignNode signs a decision, hello, key, heartbeat, log or backup statement, a charter that the node enacts, or a step, no-veto, seat,
// activation or release of SOS, with its identity key: 64 bytes of Ed25519.
func SignNode(identity crypto.Signer, s statement.Statement) ([]byte, error) {
	tree, err := nodeTree(s)
	if err != nil {
		return nil, err
	}
	return eddsa.SignBy(identity, tree)
}

// VerifyNode checks what SignNode made against the identity key of the roster.
func VerifyNode(identity ed25519.PublicKey, s statement.Statement, sig []byte) error {
	if err := CheckIdentity(identity); err != nil {
		return err
	}
	tree, err := nodeTree(s)
	if err != nil {
		return err
	}
	if !ed25519.Verify(identity, tree, sig) {
		return fmt.Errorf("%s statement %s: %w", s.Kind(), s.ID().Short(), ErrNodeSignature)
	}
	return nil
}
