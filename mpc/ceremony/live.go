package ceremony

import (
	"fmt"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/frost"
)

// A Live is the payload of a live test signature: it names the SOS request that the signature answers, and nothing else. There is no
// digest in it: each signer derives that from its own copy of the request (spec/sos 4.6), so no opener has one signed that it chose.
type Live struct {
	Request [32]byte // id of the SOS request
}

const fieldLiveRequest transcript.Tag = 1

// Encode is the canonical form.
func (l *Live) Encode() []byte {
	var e transcript.Encoder
	return e.Bytes(fieldLiveRequest, l.Request[:]).Sum()
}

// DecodeLive reads the canonical form.
func DecodeLive(b []byte) (*Live, error) {
	d, l := transcript.NewDecoder(b), &Live{}
	copy(l.Request[:], d.Fixed(fieldLiveRequest, len(l.Request)))
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode live test: %w", err)
	}
	return l, nil
}

// SignLive signs a live test with the root key of a record in force, t of whose members take part (spec/ceremonies 4.6). digest is what
// the caller derived from its own copy of the request. The root itself signs nothing else: addresses are below it, and on
// bip340-secp256k1 the key without Taproot's tweak is nobody's output.
func SignLive(s Seat, k *Keys, digest [32]byte) (engine.Stage[Signature], error) {
	if _, err := DecodeLive(s.Setup.Payload); err != nil {
		return nil, err
	}
	if s.Setup.Protocol != ProtocolLive || len(s.Setup.Parties) != k.Record.Threshold {
		return nil, fmt.Errorf("live test: setup of protocol %q with %d parties is none: it is signed by %d", s.Setup.Protocol, len(s.Setup.Parties), k.Record.Threshold)
	}
	output := frost.Taproot{}
	if k.Record.Suite == epoch.SuiteBIP340 {
		output = frost.NoTaproot()
	}
	return signing(s, k, nil, output, digest[:])
}
