package node

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/node/fence"
	"github.com/ostraka/ostraka/node/memory"
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

// roomForSecrets is how much memory is locked for the data key and for rows while they are open: those of some dozens of sessions at once.
const roomForSecrets = 1 << 20

// keepKey moves the data key and the identity into memory that is locked, with the key of tags beside them, and has rows opened there; where that cannot be, it is said once here, and in doctor.
func (u *unlocked) keepKey(log *slog.Logger, whole bool) (*memory.Arena, error) {
	room, err := memory.New(roomForSecrets)
	if err != nil {
		u.box.Wipe()
		return nil, err
	}
	u.box.Keep(room.Hold)
	u.identity.Keep(room.Hold)
	if u.tags.mac, err = u.box.MAC(transcript.StoreTagKey); err != nil {
		u.box.Wipe()
		u.identity.Wipe()
		return nil, errors.Join(err, room.Close())
	}
	state, what, next := MemoryState(room.Report(), whole)
	if state == "ok" {
		log.Info("memory of secrets", "is", what, "erases", memory.Erases)
	} else {
		log.Warn("memory of secrets", "is", what, "next", next)
	}
	return room, nil
}

// MemoryState puts into words how secrets lie in memory, for doctor and the log.
func MemoryState(r memory.Report, whole bool) (state, what, next string) {
	const limit = "set LimitMEMLOCK=infinity in the node's unit, which locks the whole process, or 2M at least, and start it again"
	switch {
	case whole:
		return "ok", "all memory of the process is locked", ""
	case r.Lock != nil:
		return "warn", fmt.Sprintf("not locked: %v; the data key may come into swap", r.Lock), limit
	case r.Spilled > 0:
		return "warn", fmt.Sprintf("%d KiB are locked, and too few: %d times an open row lay outside", r.Size>>10, r.Spilled), limit
	case r.Size < roomForSecrets:
		return "warn", fmt.Sprintf("%d KiB are locked, of %d that are wanted", r.Size>>10, roomForSecrets>>10), limit
	}
	return "ok", fmt.Sprintf("%d KiB are locked, for the data key and open rows; the rest of the process is not: have encrypted swap, or none", r.Size>>10), ""
}
