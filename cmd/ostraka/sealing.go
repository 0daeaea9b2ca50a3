package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/age"
	"github.com/ostraka/ostraka/node/seal/keys"
	"github.com/ostraka/ostraka/node/seal/passphrase"
	"github.com/ostraka/ostraka/node/seal/pkcs11"
	sealtpm "github.com/ostraka/ostraka/node/seal/tpm"
	"github.com/ostraka/ostraka/node/seal/transit"
	"github.com/ostraka/ostraka/node/tpm"
)

// Variables that name files with secrets, so that a service's unit can say where they are.
const (
	identityVariable = "OSTRAKA_AGE_IDENTITY_FILE"
	pinVariable      = "OSTRAKA_PIN_FILE"
	tokenVariable    = "OSTRAKA_VAULT_TOKEN_FILE"

	newPassFlag = "--new-passphrase-file"
)

// secrets are the files with what key providers ask for at a start. None of it is an argument, which others can list, nor the
// value of a variable, which children inherit.
type secrets struct {
	pass, identity, identityPass, pin, token string                  // files
	tpmPin                                   string                  // a file
	hsm                                      string                  // the program ostraka-hsm
	by                                       string                  // the one slot that is tried
	prefix                                   string                  // of their flags: "new-" of what a rekey puts
	fresh                                    bool                    // the passphrase takes another one's place: no variable names it
	handed                                   map[string]secret.Bytes // what a supervisor gave, in place of files; nil: none does
}

// flags of a command that opens a folder, or makes one.
func (s *secrets) flags(f *pflag.FlagSet, of string) {
	f.StringVar(&s.pass, "passphrase-file", "", "file with the "+of+"passphrase, mode 0600 (default: $"+passphraseVariable+", else it is asked for)")
	s.more(f, "", of)
	f.StringVar(&s.hsm, "hsm", "", "the program ostraka-hsm, which loads a PKCS#11 token's library (default: the one beside this program)")
}

// more are the flags of what is not a passphrase.
func (s *secrets) more(f *pflag.FlagSet, prefix, of string) {
	f.StringVar(&s.identity, prefix+"age-identity", "", "file with a private key of age for the "+of+"slot, mode 0600 (default: $"+identityVariable+")")
	f.StringVar(&s.identityPass, prefix+"age-passphrase-file", "", "file with that file's passphrase, if it has one (default: it is asked for)")
	f.StringVar(&s.pin, prefix+"pin-file", "", "file with the "+of+"PIN of a PKCS#11 token, mode 0600 (default: $"+pinVariable+", else it is asked for)")
	f.StringVar(&s.tpmPin, prefix+"tpm-pin-file", "", "file with the "+of+"PIN of the TPM's key, mode 0600 (default: it is asked for)")
	f.StringVar(&s.token, prefix+"token-file", "", "file with the "+of+"token of an OpenBao or Vault server, mode 0600 (default: $"+tokenVariable+")")
}

// sealFlags say which key providers wrap the data key.
func sealFlags(f *pflag.FlagSet, to *[]string, makes *bool) {
	f.StringArrayVar(to, "seal", nil, "what opens the shares at a start: "+keys.Forms+" (default: passphrase); given more than once: all of them together")
	f.BoolVar(makes, "make-key", false, "have a PKCS#11 token make the key of --seal, if it has none of that name")
}

// slotOf reads --seal.
func slotOf(name string, given []string) (seal.Slot, error) {
	if len(given) == 0 {
		given = []string{keys.Passphrase}
	}
	s := seal.Slot{Name: name}
	for _, g := range given {
		p, err := keys.Parse(g)
		if err != nil {
			return s, usage("--seal: %w", err)
		}
		s.Providers = append(s.Providers, p)
	}
	if err := s.Check(); err != nil {
		return s, usage("--seal: %w", err)
	}
	return s, nil
}

// ring opens key providers with these secrets; made says that they are new, so that what is typed is asked for twice.
func (a *app) ring(s secrets, made bool, cost ...passphrase.Option) *keys.Ring {
	r := &keys.Ring{Rand: rand.Reader, Cost: cost, UI: a.pluginUI(), HSM: s.hsm, Only: s.by}
	self, err := os.Executable()
	if r.Self = self; r.HSM == "" && err == nil {
		r.HSM = pkcs11.Beside(self)
	}
	r.Ask = func(_ context.Context, n keys.Need) (secret.Bytes, error) {
		if s.handed != nil {
			return fromSupervisor(s.handed, n)
		}
		switch n.Secret {
		case keys.Words:
			if s.fresh {
				return a.asked(n, s.pass, newPassFlag, made)
			}
			return a.asked(n, fileOf(s.pass, passphraseVariable), "--passphrase-file", made)
		case keys.IdentityWords:
			return a.asked(n, s.identityPass, "--"+s.prefix+"age-passphrase-file", false)
		case keys.PIN:
			return a.asked(n, fileOf(s.pin, pinVariable), "--"+s.prefix+"pin-file", false)
		case keys.TPMPin:
			return a.asked(n, s.tpmPin, "--"+s.prefix+"tpm-pin-file", false)
		case keys.Identity:
			return secretOfFile(n, fileOf(s.identity, identityVariable), "--"+s.prefix+"age-identity", identityVariable)
		case keys.Token:
			b, err := secretOfFile(n, fileOf(s.token, tokenVariable), "--"+s.prefix+"token-file", tokenVariable)
			return trimmedLine(b), err
		}
		return secret.Bytes{}, fmt.Errorf("%w: this command asks for no %s", seal.ErrNoSecret, n.Secret)
	}
	return r
}

// asked is a secret of one line that people may type. Where nobody can be asked, the slot is passed over.
func (a *app) asked(n keys.Need, file, flag string, made bool) (secret.Bytes, error) {
	if file != "" {
		return secretFile(file, string(n.Secret), flag)
	}
	of := "the node"
	switch {
	case n.Secret == keys.PIN:
		of = "token " + n.Provider.Params["token"]
	case n.Secret == keys.TPMPin:
		of = "the TPM's key"
	case n.Secret == keys.IdentityWords:
		of = "the age identity file"
	case n.Slot != seal.MainSlot:
		of = "slot " + n.Slot
	}
	what := "Passphrase"
	switch {
	case n.Secret == keys.PIN, n.Secret == keys.TPMPin:
		what = "PIN"
	case flag == newPassFlag:
		what = "New passphrase"
	}
	b, err := a.typedSecret(what, of, made)
	var p *problem
	if errors.As(err, &p) && p.Next == nextPassFile {
		return b, fail(p.Code, fmt.Errorf("%w: %w", seal.ErrNoSecret, p.Err), "give "+flag+" FILE"+orVariable(flag))
	}
	return b, err
}

func orVariable(flag string) string {
	switch flag {
	case "--passphrase-file":
		return ", or set $" + passphraseVariable
	case "--pin-file", "--new-pin-file":
		return ", or set $" + pinVariable
	}
	return ""
}

// secretOfFile is a secret that nobody types.
func secretOfFile(n keys.Need, file, flag, variable string) (secret.Bytes, error) {
	if file == "" {
		return secret.Bytes{}, fail(codeUsage, fmt.Errorf("%w: no %s", seal.ErrNoSecret, n.Secret), "give "+flag+" FILE, or set $"+variable)
	}
	return wholeFile(file, string(n.Secret), flag, age.MaxIdentity)
}

// sealNext is what to do about a key provider that did not open.
func sealNext(err error) string {
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	token := func(c pkcs11.Code) error { return &pkcs11.Error{Code: c} }
	switch {
	case is(passphrase.ErrPassphrase):
		return "check the passphrase file, or type it again: nothing was changed"
	case is(age.ErrIdentity):
		return "give the private key of one of the recipients that `ostraka node slots` shows: --age-identity FILE; of a new slot, of one in its file of recipients: --new-age-identity FILE"
	case is(age.ErrPassphrase):
		return "type the passphrase of the age identity file again, or check --age-passphrase-file"
	case is(token(pkcs11.WrongPIN)):
		return "look at how many tries the token has left, with its maker's tool; then check --pin-file (of a new slot: --new-pin-file)"
	case is(token(pkcs11.NoToken), token(pkcs11.Removed)):
		return "put the token in, and start again"
	case is(token(pkcs11.NoKey)):
		return "check the key's label; a new key is made with --make-key, and opens nothing that an older one wrapped"
	case is(sealtpm.ErrPIN), errors.As(err, new(*tpm.LockedError)):
		return "check --tpm-pin-file before the next try; another slot of the key file opens the node meanwhile (--by SLOT)"
	case is(tpm.ErrMissing, tpm.ErrPermission, tpm.ErrHierarchy, tpm.ErrBank), errors.As(err, new(*tpm.Error)):
		return "put the TPM in order as it says, or open by another slot of the key file: --by SLOT (`ostraka node slots` lists them)"
	case is(sealtpm.ErrNeedsPIN):
		return "give --tpm-pin-file FILE"
	case errors.As(err, new(*sealtpm.ChangedError)):
		return "if you updated what changed: open by another slot (--by SLOT), then `ostraka node rekey --seal tpm`; if you did not, find out who did, and type no passphrase here"
	case is(transit.ErrLocked):
		return "have the transit server unsealed, and start again"
	case is(transit.ErrDenied):
		return "put a token that may encrypt and decrypt with this key into the file of --token-file"
	case is(transit.ErrUnreachable):
		return "check the vault's address and its certificate, and that this machine reaches it"
	case is(transit.ErrVersion):
		return "have the vault's operators lower the key's min_decryption_version, start, and then `ostraka node rekey`"
	case is(seal.ErrBusy):
		return "wait until the other `ostraka node rekey` has ended"
	case is(seal.ErrUnsettled):
		return "look after the disk, and run it again"
	case is(seal.ErrDamaged):
		return "put an intact copy of key.json back; without one, restore from an export: `ostraka backup restore`"
	}
	return ""
}

// slotLines are slots for people, a line each.
func slotLines(slots []seal.Slot) (out []string) {
	for _, s := range slots {
		parts := make([]string, len(s.Providers))
		for i, p := range s.Providers {
			parts[i] = p.String()
		}
		out = append(out, s.Name+": "+strings.Join(parts, " and "))
	}
	return out
}
