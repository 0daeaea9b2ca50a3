package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// NeedTPM says whether no slot opens without the machine's TPM: after an update of what the machine boots none does.
func NeedTPM(slots ...seal.Slot) bool {
	return !slices.ContainsFunc(slots, func(s seal.Slot) bool {
		return !slices.ContainsFunc(s.Providers, func(p seal.Provider) bool { return p.Kind == TPM })
	})
}

// BesideTPM is what to do then.
const BesideTPM = "add a slot without it before that, and keep its secret elsewhere: `ostraka node rekey --slot paper --seal passphrase`"

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

func (r *Ring) tpm(p seal.Provider, ask func(Secret) (secret.Bytes, error)) (seal.KEK, error) {
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
		if pin, err = ask(TPMPin); err != nil {
			return nil, err
		}
	}
	k, err := sealtpm.New(d, pcrs, pin, r.Rand)
	if err != nil {
		pin.Wipe()
		return nil, err
	}
	r.close = append(r.close, func() error { k.Wipe(); return nil })
	return &once{k, r}, nil
}

// once is a TPM's key that tries no PIN after the TPM refused one in this start: another slot may name the same TPM, which counts.
type once struct {
	*sealtpm.KEK
	r *Ring
}

func (o *once) Unwrap(ctx context.Context, wrapped []byte, label seal.Label) (secret.Bytes, error) {
	if o.r.refusedByTPM && o.NeedsPIN() {
		return secret.Bytes{}, fmt.Errorf("%w: a TPM refused the PIN that was given, and it is tried nowhere else", seal.ErrNoSecret)
	}
	dek, err := o.KEK.Unwrap(ctx, wrapped, label)
	o.r.refusedByTPM = o.r.refusedByTPM || errors.Is(err, sealtpm.ErrPIN)
	return dek, err
}
