package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/secret"
)

// Lengths of a receiver's secret in bytes: of a new one, and of those that are read.
const (
	SecretSize = 32
	minSecret  = 24
	maxSecret  = 64
)

const secretPrefix = "whsec_"

// A Secret signs the notices of one receiver. It prints redacted.
type Secret struct{ key secret.Bytes }

// NewSecret takes SecretSize random bytes.
func NewSecret(random []byte) (Secret, error) {
	if len(random) != SecretSize {
		return Secret{}, fmt.Errorf("a secret is made of %d random bytes, not %d", SecretSize, len(random))
	}
	return Secret{secret.Copy(random)}, nil
}

// ParseSecret reads what Reveal writes. Its error never holds what was given.
func ParseSecret(text string) (Secret, error) {
	digits, ok := strings.CutPrefix(text, secretPrefix)
	key, err := base64.StdEncoding.Strict().DecodeString(digits)
	if !ok || err != nil || len(key) < minSecret || len(key) > maxSecret || base64.StdEncoding.EncodeToString(key) != digits {
		return Secret{}, fmt.Errorf("secret: want %s and base64 of %d to %d bytes", secretPrefix, minSecret, maxSecret)
	}
	return Secret{secret.New(key)}, nil
}

// Reveal is the secret as the receiver takes it: "whsec_" and base64. It is shown once and stands in the receivers file, nowhere else.
func (s Secret) Reveal() string {
	return secretPrefix + base64.StdEncoding.EncodeToString(s.key.Expose())
}

// Equal compares in constant time.
func (s Secret) Equal(o Secret) bool { return s.key.Equal(o.key) }

func (Secret) String() string                 { return secret.Redacted }
func (Secret) GoString() string               { return secret.Redacted }
func (s Secret) Format(f fmt.State, r rune)   { s.key.Format(f, r) }
func (s Secret) MarshalText() ([]byte, error) { return s.key.MarshalText() }

// Sign is the webhook-signature of a notice (spec/notify 3): "v1," and base64 of HMAC-SHA256 over id, time in Unix seconds, and body, with dots between.
func (s Secret) Sign(id string, at time.Time, body string) string {
	m := hmac.New(sha256.New, s.key.Expose())
	m.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "." + body))
	return "v1," + base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// ID is the webhook-id of an event at a receiver: the same whenever and however often it is sent.
func ID(context, receiver, key string) string {
	sum := sha256.Sum256([]byte("ostraka notify\n" + context + "\n" + receiver + "\n" + key))
	return "msg_" + hex.EncodeToString(sum[:16])
}

// maxBody bounds a notice in bytes. Data that would make it longer is left out: whoever can make something long must not keep the rest from being told.
const maxBody = 64 << 10

type bodyForm struct {
	Type   string `json:"type"`
	Time   string `json:"time"`
	Circle string `json:"circle"`
	Data   any    `json:"data"`
}

// Body is a notice: one JSON object of type, time, circle and data.
func Body(kind, circle string, at time.Time, data any) (string, error) {
	f := bodyForm{kind, at.UTC().Format(time.RFC3339), circle, data}
	raw, err := json.Marshal(f)
	if err == nil && len(raw) > maxBody {
		f.Data = tooLong{true}
		raw, err = json.Marshal(f)
	}
	if err != nil {
		return "", fmt.Errorf("write notice %s: %w", kind, err)
	}
	return string(raw), nil
}

type tooLong struct {
	TooLong bool `json:"too_long"`
}
