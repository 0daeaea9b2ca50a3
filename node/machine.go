package node

import (
	"crypto/ed25519"
	"fmt"

	"github.com/ostraka/ostraka/node/fence"
	"github.com/ostraka/ostraka/node/tpm"
)

// TPM says how a node uses its machine's TPM 2.0, in node.json (spec/tpm).
type TPM struct {
	Device  string `json:"device,omitempty"`  // /dev/tpmrm0 if empty; unix:/path of an emulator's socket
	PCRs    string `json:"pcrs,omitempty"`    // that its evidence is of: "sha256:0,2,4,7" if empty
	Counter bool   `json:"counter,omitempty"` // counts the starts of this node: a store that was set back is found without any peer
}

func (t *TPM) check() error {
	if t == nil {
		return nil
	}
	if _, err := tpm.New(t.Device); err != nil {
		return fmt.Errorf("settings: tpm.device: %w", err)
	}
	if _, err := tpm.ParseSelection(t.PCRs); err != nil {
		return fmt.Errorf("settings: tpm.pcrs: %w", err)
	}
	return nil
}

// device names the TPM of these settings; nil: none is used.
func (t *TPM) device() (*tpm.Device, error) {
	if t == nil {
		return nil, nil
	}
	return tpm.New(t.Device)
}

// counter is the one that counts this node's starts; nil: none does.
func (t *TPM) counter(d *tpm.Device, identity ed25519.PublicKey) fence.Counter {
	if t == nil || !t.Counter {
		return nil
	}
	return tpm.NewCounter(d, identity)
}
