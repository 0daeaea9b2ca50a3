package test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ostraka/ostraka/node/seal/pkcs11/pkcs11test"
	"github.com/ostraka/ostraka/node/seal/transit/transittest"
)

// TestSealed tells how an operator chooses what opens its shares, with a token of SoftHSM and a transit server of our own
// (transittest says what it is).
func TestSealed(t *testing.T) {
	token := pkcs11test.New(t, "op1")
	helper := pkcs11test.Helper(t)
	t.Cleanup(func() { os.RemoveAll(filepath.Dir(helper)) })
	server := transittest.Start(t, false)
	server.Key("ostraka", "aes256-gcm96")
	server.Token("hvs.story", "encrypt/ostraka", "decrypt/ostraka")
	testscript.Run(t, params("testdata/sealed", map[string]func(*testscript.TestScript, bool, []string){
		"vault": func(ts *testscript.TestScript, _ bool, args []string) {
			switch args[0] {
			case "seal", "unseal":
				server.Seal(args[0] == "seal")
			case "rotate":
				least, err := strconv.Atoi(args[1])
				ts.Check(err)
				server.Rotate("ostraka", least)
			default:
				ts.Fatalf("vault %s", args[0])
			}
		},
	}, map[string]string{"HSM": helper, "MODULE": token.Module, "SOFTHSM2_CONF": token.Conf, "VAULT": server.URL}))
}
