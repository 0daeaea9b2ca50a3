package api

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/keys"
)

// checkSeal says which slot opened the shares, and which would at the next start.
func (o *operator) checkSeal(add func(name, state, what, next string)) {
	slots, err := node.Slots(o.d.Dir)
	if err != nil {
		add("seal", "fail", "the key file cannot be read, and this node would not start again: "+err.Error(),
			"keep the node running; put an intact copy of key.json back, or cut an export while it runs: `ostraka backup cut`")
		return
	}
	names := make([]string, len(slots))
	for i, s := range slots {
		names[i] = s.Name + " (" + s.Kinds() + ")"
	}
	what := fmt.Sprintf("slot %s opened the shares; the next start takes any one of: %s", o.d.Slot, strings.Join(names, ", "))
	if len(slots) == 1 {
		what = fmt.Sprintf("%s opens the shares, and nothing else does", names[0])
	}
	if !slices.ContainsFunc(slots, func(s seal.Slot) bool { return s.Name == o.d.Slot }) {
		what += fmt.Sprintf("; slot %s, which opened them at this start, was taken out since", o.d.Slot)
	}
	if keys.NeedTPM(slots...) {
		add("seal", "warn", what+": the TPM keeps the key back after the next update of this machine's firmware, boot loader or kernel", keys.BesideTPM)
		return
	}
	add("seal", "ok", what, "")
}
