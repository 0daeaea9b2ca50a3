package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/keys"
)

// bySlot says which slot opens the folder.
func bySlot(f *pflag.FlagSet, s *secrets) {
	f.StringVar(&s.by, "by", "", "open by this slot alone, and try no other (default: the first that opens)")
}

type slotsDocument struct {
	Dir    string      `json:"dir"`
	Slots  []seal.Slot `json:"slots"`
	Opened string      `json:"opened,omitempty"` // of a rekey: the slot that opened the folder
}

func (d slotsDocument) print(w io.Writer) {
	for _, l := range slotLines(d.Slots) {
		fmt.Fprintln(w, line("%s", l))
	}
}

func (a *app) nodeSlotsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "slots", Short: "Show what opens the shares: the slots of the key file, of which any one does", Args: none,
		Long: "Reads key.json and opens nothing. A slot has one key provider, or up to four that are needed together; any one slot opens the folder.",
		RunE: func(*cobra.Command, []string) error {
			if _, err := node.ReadSettings(a.dir); err != nil {
				return err
			}
			slots, err := node.Slots(a.dir)
			if err != nil {
				return err
			}
			d := slotsDocument{Dir: a.dir, Slots: slots}
			return a.show(d, d.print)
		},
	}
}

// rekeying are the flags of a rekey.
type rekeying struct {
	slot       string
	seal       []string
	remove     []string
	makes      bool
	given, new secrets
	memory     uint32
}

func (a *app) nodeRekeyCommand() *cobra.Command {
	var x rekeying
	c := &cobra.Command{
		Use: "rekey", Short: "Change what opens the shares: a slot of the key file, its passphrase or its key providers", Args: none,
		Long: "Opens the folder by one of its slots, and wraps its data key anew: slot --slot is added, or put in place of the one of its name, with the providers of --seal;\n" +
			"without --seal it keeps its providers, and gets a new passphrase, or the newest version of a vault's key. --remove takes slots out. The new slot has opened\n" +
			"the data key before the old file goes, and a crash leaves the one or the other. The node may run meanwhile: it notices nothing until its next start.\n" +
			"Old copies of key.json still open with the old secrets: destroy them.",
		Example: "  ostraka node rekey\n  ostraka node rekey --slot paper --seal age:recipients.txt --new-age-identity paper.key\n" +
			"  ostraka node rekey --seal passphrase --seal 'pkcs11:token=op1;object=ostraka?module-path=/usr/lib/softhsm/libsofthsm2.so' --make-key\n  ostraka node rekey --remove paper",
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := a.within(c.Context(), 10*time.Minute)
			defer cancel()
			return a.nodeRekey(ctx, x)
		},
	}
	f := c.Flags()
	f.StringVar(&x.slot, "slot", seal.MainSlot, "the slot that is added or changed")
	sealFlags(f, &x.seal, &x.makes)
	f.StringArrayVar(&x.remove, "remove", nil, "take this slot out (may be repeated)")
	x.given.flags(f, "present ")
	bySlot(f, &x.given)
	f.StringVar(&x.new.pass, "new-passphrase-file", "", "file with the new passphrase, mode 0600 (default: it is asked for)")
	x.new.more(f, "new-", "new ")
	memoryFlag(f, &x.memory)
	return c
}

// change reads what is to be done to these slots.
func (x rekeying) change(slots []seal.Slot) (c seal.Change, err error) {
	c.Remove = x.remove
	if len(x.remove) > 0 && len(x.seal) == 0 { // nothing is put
		return c, nil
	}
	put, err := slotOf(x.slot, x.seal)
	if err != nil {
		return c, err
	}
	if i := slices.IndexFunc(slots, func(s seal.Slot) bool { return s.Name == x.slot }); len(x.seal) == 0 {
		if i < 0 {
			return c, usage("there is no slot %s: give --seal, for the providers that it is to have", x.slot)
		}
		put = slots[i]
	}
	c.Put = []seal.Slot{put}
	return c, nil
}

func (a *app) nodeRekey(ctx context.Context, x rekeying) error {
	cost, err := passphraseCost(x.memory)
	if err != nil {
		return err
	}
	slots, err := node.Slots(a.dir)
	if err != nil {
		return err
	}
	c, err := x.change(slots)
	if err != nil {
		return err
	}
	old, renewed := a.ring(x.given, false), a.ringOfNew(x)
	renewed.Cost = append(renewed.Cost, cost)
	defer old.Close()     //nolint:errcheck // what it held ends with this program
	defer renewed.Close() //nolint:errcheck // as above
	opened, slots, err := node.Rekey(ctx, a.dir, old.Open, c, renewed.Open, rand.Reader)
	if err != nil {
		return err
	}
	d := slotsDocument{a.dir, slots, opened}
	return a.show(d, func(w io.Writer) {
		fmt.Fprintf(w, "Opened by slot %s. %s opens by any one of these now:\n\n", opened, a.dir)
		d.print(w)
		if classical(c) {
			fmt.Fprintln(w, "\nNote: a recipient of the new slot is not post-quantum: who copies key.json today may open it one day. `age-keygen -pq` makes one that is.")
		}
		fmt.Fprintf(w, "\nThe node may run on: it reads this at its next start.\nNext: destroy old copies of %s, in backups too: they still open as they did%s.\n", "key.json", oldSecrets(x, c))
	})
}

// classical says whether a quantum computer could open what is put: by a recipient of age's first form, or an SSH key.
func classical(c seal.Change) bool {
	for _, s := range c.Put {
		for _, p := range s.Providers {
			for _, r := range strings.Split(p.Params["recipients"], ",") {
				if p.Kind == keys.Age && (strings.HasPrefix(r, "ssh-") || strings.HasPrefix(r, "age1") && len(r) == 62) {
					return true
				}
			}
		}
	}
	return false
}

// oldSecrets says what does not end with a rekey.
func oldSecrets(x rekeying, c seal.Change) string {
	if len(c.Remove) > 0 {
		return ", by " + strings.Join(c.Remove, ", ") + " as well"
	}
	return ", with the old passphrase or key"
}

// ringOfNew opens what is put. What is no passphrase is as it was where nothing new is given.
func (a *app) ringOfNew(x rekeying) *keys.Ring {
	n := x.new
	for to, from := range map[*string]string{&n.identity: x.given.identity, &n.identityPass: x.given.identityPass, &n.pin: x.given.pin, &n.token: x.given.token} {
		if *to == "" {
			*to = from
		}
	}
	n.hsm, n.pass, n.fresh, n.prefix = x.given.hsm, x.new.pass, true, "new-"
	r := a.ring(n, true)
	r.Make = x.makes
	return r
}
