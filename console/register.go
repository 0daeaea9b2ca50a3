package console

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// readRegistration makes the key of a credential that a browser has just created: response is the JSON of
// navigator.credentials.create (PublicKeyCredential.toJSON), challenge what the page was given for it. The user must
// have been verified. Who made the authenticator is not asked: its owner says in the charter that the key is theirs.
func readRegistration(rpID, origin string, challenge, response []byte) (signet.Key, error) {
	k, err := registered(rpID, origin, challenge, response)
	if err != nil {
		return signet.Key{}, fmt.Errorf("register passkey: %w", err)
	}
	return k, nil
}

func registered(rpID, origin string, challenge, response []byte) (signet.Key, error) {
	if len(response) > maxAnswer {
		return signet.Key{}, fmt.Errorf("the answer has %d bytes, at most %d are allowed", len(response), maxAnswer)
	}
	r, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return signet.Key{}, err
	}
	if r.Response.CollectedClientData.Origin != origin {
		return signet.Key{}, fmt.Errorf("it was made on a page of %.60q, not of %s", r.Response.CollectedClientData.Origin, origin)
	}
	var kinds []protocol.CredentialParameter
	for _, alg := range passkeyAlgorithms {
		kinds = append(kinds, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.COSEAlgorithmIdentifier(alg)})
	}
	_, err = r.Verify(base64.RawURLEncoding.EncodeToString(challenge), rpID, []string{origin}, nil, nil, protocol.TopOriginExplicitVerificationMode,
		false, true, true, nil, kinds, protocol.AttestationPolicy{}, protocol.SignaturePolicy{})
	if err != nil {
		return signet.Key{}, err
	}
	public, err := webauthncose.ParsePublicKey(r.Response.AttestationObject.AuthData.AttData.CredentialPublicKey)
	if err != nil {
		return signet.Key{}, err
	}
	kind, point := "", []byte(nil)
	switch p := public.(type) {
	case webauthncose.EC2PublicKeyData:
		kind, point = statement.Passkey256, append([]byte{2 | p.YCoord[31]&1}, p.XCoord...)
	case webauthncose.OKPPublicKeyData:
		kind, point = statement.Passkey25519, p.XCoord
	default:
		return signet.Key{}, fmt.Errorf("its key is %T, neither P-256 nor Ed25519", public)
	}
	return signet.ParseKey(strings.Join([]string{
		kind, rpID, origin, base64.RawURLEncoding.EncodeToString(r.RawID), base64.StdEncoding.EncodeToString(point),
	}, " "))
}

// passkeyAlgorithms are what a page asks an authenticator for (pubKeyCredParams): COSE numbers of ES256 and EdDSA.
var passkeyAlgorithms = [2]int{int(webauthncose.AlgES256), int(webauthncose.AlgEdDSA)}
