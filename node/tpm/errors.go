package tpm

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// What may be the matter with a TPM.
var (
	ErrMissing    = errors.New("there is no TPM")
	ErrPermission = errors.New("this process may not use the TPM")
	ErrHierarchy  = errors.New("the TPM's hierarchy is switched off, or has a password")
	ErrOther      = errors.New("the TPM is another one, or was cleared")
	ErrBank       = errors.New("the TPM keeps no SHA-256 PCRs")
)

// Error is one of these of a device.
type Error struct {
	Device string
	Why    error
	Group  string // that may use it, if one may
}

func (e *Error) Unwrap() error { return e.Why }

func (e *Error) Error() string {
	text := fmt.Sprintf("%v (%s)", e.Why, e.Device)
	switch {
	case errors.Is(e.Why, ErrMissing):
		return text + ": switch it on in the machine's firmware, load the kernel's driver, or correct `tpm.device` in node.json"
	case errors.Is(e.Why, ErrPermission) && e.Group != "":
		return text + ": its group is " + e.Group + "; add the node's user to it (usermod -aG " + e.Group + " USER, or SupplementaryGroups=" + e.Group + " in its unit)"
	case errors.Is(e.Why, ErrPermission):
		return text + ": give a group of the node's user reading and writing of it"
	}
	return text
}

// A LockedError says that the TPM takes no guesses for a while, or would not after one more: too many wrong PINs were given, to this node or to
// anything else on the machine. Nothing is tried then.
type LockedError struct {
	Left  int           // wrong PINs that it still takes: 0 or 1
	Every time.Duration // after which it takes one more
}

func (e *LockedError) Error() string {
	state := "the TPM is locked after wrong PINs"
	if e.Left > 0 {
		state = "one more wrong PIN would lock the TPM, and none is tried"
	}
	return fmt.Sprintf("%s: it gives one try back every %s in which none is wrong. Who has its lockout password can do so at once (tpm2_dictionarylockout --clear-lockout)", state, e.Every)
}

// inLockout is the bit of TPMA_PERMANENT that says so.
const inLockout = 1 << 9

// MayGuess says why no PIN is to be tried: a *LockedError. The TPM is asked for its count, and nothing is tried for that.
func (c *Conn) MayGuess() error {
	state, err := c.property(tpm2.TPMPTPermanent)
	if err != nil {
		return fmt.Errorf("ask whether the TPM is locked: %w", err)
	}
	left, err := c.GuessesLeft()
	if err != nil {
		return fmt.Errorf("ask how many wrong PINs the TPM takes: %w", err)
	}
	if state&inLockout != 0 {
		left = 0
	}
	if left > 1 {
		return nil
	}
	return c.lockout(left)
}

// explain puts the TPM's codes into words, where they are about the TPM itself and not about what was asked of it.
func (c *Conn) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, tpm2.TPMRCLockout):
		return fmt.Errorf("%w: %w", c.lockout(0), err)
	case errors.Is(err, tpm2.TPMRCHierarchy), errors.Is(err, tpm2.TPMRCDisabled):
		return fmt.Errorf("%w: %w", &Error{Device: c.d.String(), Why: ErrHierarchy}, err)
	case errors.Is(err, tpm2.TPMRCObjectMemory), errors.Is(err, tpm2.TPMRCSessionMemory):
		return fmt.Errorf("the TPM %s has no room: something left objects in it; name %s, which keeps users apart: %w", c.d, DefaultPath, err)
	case errors.Is(err, tpm2.TPMRCInitialize):
		return fmt.Errorf("the TPM %s was not started: the firmware, or the emulator's startup-clear, does that: %w", c.d, err)
	case errors.Is(err, tpm2.TPMRCFailure):
		return fmt.Errorf("the TPM %s reports that it is broken: switch the machine off and on; if it stays so, replace it: %w", c.d, err)
	}
	return err
}

// lockout asks how long: one guess is given back in every recovery interval.
func (c *Conn) lockout(left int) error {
	e := &LockedError{Left: left, Every: 24 * time.Hour}
	if seconds, err := c.property(tpm2.TPMPTLockoutInterval); err == nil && seconds > 0 {
		e.Every = time.Duration(seconds) * time.Second
	}
	return e
}

// GuessesLeft is how many wrong PINs the TPM takes before it locks.
func (c *Conn) GuessesLeft() (int, error) {
	most, err := c.property(tpm2.TPMPTMaxAuthFail)
	if err != nil {
		return 0, err
	}
	used, err := c.property(tpm2.TPMPTLockoutCounter)
	return max(0, int(most)-int(used)), err
}

func (c *Conn) property(p tpm2.TPMPT) (uint32, error) {
	r, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: uint32(p), PropertyCount: 1}.Execute(c)
	if err != nil {
		return 0, err
	}
	all, err := r.CapabilityData.Data.TPMProperties()
	if err != nil {
		return 0, err
	}
	if len(all.TPMProperty) == 0 || all.TPMProperty[0].Property != p {
		return 0, fmt.Errorf("the TPM does not know its property %#x", uint32(p))
	}
	return all.TPMProperty[0].Value, nil
}
