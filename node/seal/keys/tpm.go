package keys

import (
	"fmt"
	"strings"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node/seal"
	sealtpm "github.com/ostraka/ostraka/node/seal/tpm"
	"github.com/ostraka/ostraka/node/tpm"
)

// Parameters of a TPM.
const (
	tpmDevice = "device" // as node/tpm takes it; absent: its default
	tpmPCRs   = "pcrs"   // "sha256:0,2,4,7"
	tpmPIN    = "pin"    // "yes": a PIN is asked for; absent: none
)

// parseTPM reads tpm[-pin][:PCRS][@DEVICE].
func parseTPM(text string) (p seal.Provider, ok bool) {
	text, device, hasDevice := strings.Cut(text, "@")
	kind, pcrs, hasPCRs := strings.Cut(text, ":")
	if kind != TPM && kind != TPM+"-pin" {
		return p, false
	}
	p = seal.Provider{Kind: TPM, Params: map[string]string{tpmPCRs: tpm.DefaultSelection}}
	if hasPCRs {
		p.Params[tpmPCRs] = pcrs
	}
	if hasDevice {
		p.Params[tpmDevice] = device
	}
	if kind != TPM {
		p.Params[tpmPIN] = "yes"
	}
	return p, true
}

func checkTPM(p seal.Provider) error {
	if err := only(p, tpmDevice, tpmPCRs, tpmPIN); err != nil {
		return err
	}
	if pin, ok := p.Params[tpmPIN]; ok && pin != "yes" {
		return fmt.Errorf("%s: pin is yes, or is not there", p)
	}
	if device, ok := p.Params[tpmDevice]; ok && device == "" {
		return fmt.Errorf("%s: device is empty", p)
	}
	pcrs := p.Params[tpmPCRs]
	if s, err := tpm.ParseSelection(pcrs); err != nil || s.String() != pcrs {
		return fmt.Errorf("%s: pcrs: want a form such as %s, ascending: %w", p, tpm.DefaultSelection, err)
	}
	_, err := tpm.New(p.Params[tpmDevice])
	return err
}

func (r *Ring) tpm(ask func(Secret) (secret.Bytes, error), p seal.Provider) (seal.KEK, error) {
	d, err := tpm.New(p.Params[tpmDevice])
	if err != nil {
		return nil, err
	}
	pcrs, err := tpm.ParseSelection(p.Params[tpmPCRs])
	if err != nil {
		return nil, err
	}
	var pin secret.Bytes
	if p.Params[tpmPIN] != "" {
		if pin, err = ask(Pin); err != nil {
			return nil, err
		}
		if pin.Len() == 0 {
			return nil, fmt.Errorf("the PIN of the TPM is empty")
		}
	}
	k, err := sealtpm.New(d, pcrs, pin, r.Rand)
	if err != nil {
		pin.Wipe()
		return nil, err
	}
	r.close = append(r.close, func() error { k.Wipe(); return nil })
	return k, nil
}
