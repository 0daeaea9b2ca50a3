package rescue

import (
	"slices"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// byNode finds whose node made each signature.
func byNode(s statement.Statement, all [][]byte, p plan.Plan) map[string][]byte {
	out := map[string][]byte{}
	for _, o := range everybody(p) {
		for _, sig := range all {
			if signet.VerifyNode(o.Identity, s, sig) == nil {
				out[o.Name] = sig
				break
			}
		}
	}
	return out
}

// byOfficer finds whose officer did.
func byOfficer(s statement.Statement, all [][]byte, p plan.Plan) map[string][]byte {
	out := map[string][]byte{}
	for _, o := range everybody(p) {
		i := slices.IndexFunc(all, func(sig []byte) bool {
			_, err := signet.Verify(sig, signet.Makes(s.Kind()), s.Bytes(), o.Officers)
			return err == nil
		})
		if i >= 0 {
			out[o.Name] = all[i]
		}
	}
	return out
}
