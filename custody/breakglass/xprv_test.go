package breakglass

import (
	"encoding/hex"
	"testing"
)

// BIP 32, test vectors 1 and 2, chain m.
func TestXPrv(t *testing.T) {
	for want, x := range map[string][2]string{
		"xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi": {
			"873dff81c02f525623fd1fe5167eac3a55a049de3d314bb42ee227ffed37d508", "e8f32e723decf4051aefac8e2c93c9c5b214313817cdb01a1494b917c8436b35"},
		"xprv9s21ZrQH143K31xYSDQpPDxsXRTUcvj2iNHm5NUtrGiGG5e2DtALGdso3pGz6ssrdK4PFmM8NSpSBHNqPqm55Qn3LqFtT2emdEXVYsCzC2U": {
			"60499f801b896d83179a4374aeb7822aaeaceaa0db1f85ee3e904c4defbd9689", "4b03d6fc340455b363f51020ad3ecca4f0850280cf436c70c727923f6db46c3e"},
	} {
		code, _ := hex.DecodeString(x[0])
		private, _ := hex.DecodeString(x[1])
		if got := xprv([32]byte(code), private); string(got) != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}
