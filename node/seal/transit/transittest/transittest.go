// Package transittest is a transit server for tests. It is no OpenBao and no Vault: it speaks their HTTP interface for encrypt and
// decrypt with real AES-GCM, key versions, associated data, tokens with policies, namespaces and a seal, and says what they say
// when something is wrong, after openbao's builtin/logical/transit and sdk/helper/keysutil (2.4).
package transittest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A Server holds keys that never leave it.
type Server struct {
	URL string
	CA  []byte // PEM; nil without TLS

	mu        sync.Mutex
	keys      map[string]*key
	tokens    map[string][]string // token → "encrypt/name", "decrypt/name" that its policy allows
	namespace string
	sealed    bool
	seen      []string // what was asked: verb, key
}

type key struct {
	kind     string
	versions [][]byte // from 1
	min      int      // least version that still decrypts
}

// Start serves until the test ends, over TLS if secure.
func Start(t testing.TB, secure bool) *Server {
	s := &Server{keys: map[string]*key{}, tokens: map[string][]string{}}
	if secure {
		h := httptest.NewTLSServer(s)
		s.URL, s.CA = h.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw})
		t.Cleanup(h.Close)
		return s
	}
	h := httptest.NewServer(s)
	s.URL = h.URL
	t.Cleanup(h.Close)
	return s
}

func (s *Server) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// Key makes a key of a type, such as aes256-gcm96.
func (s *Server) Key(name, kind string) {
	s.locked(func() { s.keys[name] = &key{kind: kind, versions: [][]byte{fresh()}, min: 1} })
}

// Token makes a token that may do this, such as "encrypt/ostraka".
func (s *Server) Token(token string, may ...string) { s.locked(func() { s.tokens[token] = may }) }

// Revoke ends a token.
func (s *Server) Revoke(token string) { s.locked(func() { delete(s.tokens, token) }) }

// Rotate gives a key a new version; at least is the least version that decrypts from now on.
func (s *Server) Rotate(name string, atLeast int) {
	s.locked(func() { s.keys[name].versions, s.keys[name].min = append(s.keys[name].versions, fresh()), atLeast })
}

// Delete removes a key.
func (s *Server) Delete(name string) { s.locked(func() { delete(s.keys, name) }) }

// Seal seals the server, or unseals it.
func (s *Server) Seal(sealed bool) { s.locked(func() { s.sealed = sealed }) }

// Namespace is where the engine is mounted.
func (s *Server) Namespace(n string) { s.locked(func() { s.namespace = n }) }

// Seen is what was asked so far.
func (s *Server) Seen() (out []string) {
	s.locked(func() { out = append(out, s.seen...) })
	return out
}

func fresh() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return b
}

// ServeHTTP answers as the engine does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fail := func(status int, format string, args ...any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string][]string{"errors": {fmt.Sprintf(format, args...)}})
	}
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	if s.sealed {
		fail(503, "Vault is sealed")
		return
	}
	parts := strings.Split(path, "/")
	if len(parts) != 3 || parts[0] != "transit" || r.Header.Get("X-Vault-Namespace") != s.namespace {
		fail(404, "no handler for route %q. route entry not found.", path)
		return
	}
	verb, name := parts[1], parts[2]
	s.seen = append(s.seen, verb+" "+name)
	may, known := s.tokens[r.Header.Get("X-Vault-Token")]
	allowed := false
	for _, m := range may {
		allowed = allowed || m == verb+"/"+name
	}
	switch {
	case r.Header.Get("X-Vault-Request") != "true":
		fail(412, "required X-Vault-Request header is missing")
	case !known:
		fail(403, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n")
	case !allowed:
		fail(403, "1 error occurred:\n\t* permission denied\n\n")
	case r.Method != http.MethodPost:
		fail(405, "unsupported operation")
	default:
		var in map[string]string
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			fail(400, "error parsing JSON")
			return
		}
		field, value, err := s.do(verb, name, in)
		if err != nil {
			fail(400, "%s", err)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"request_id": "7a1b", "lease_id": "", "renewable": false, "lease_duration": 0, "data": map[string]any{field: value, "key_version": len(s.keys[name].versions)},
			"wrap_info": nil, "warnings": nil, "auth": nil,
		})
	}
}

func (s *Server) do(verb, name string, in map[string]string) (field, value string, err error) {
	k, ok := s.keys[name]
	if !ok {
		return "", "", fmt.Errorf("encryption key not found")
	}
	data, err := base64.StdEncoding.DecodeString(in["associated_data"])
	if err != nil {
		return "", "", err
	}
	if len(data) > 0 && k.kind != "aes256-gcm96" {
		return "", "", fmt.Errorf("'[0].associated_data' provided for non-AEAD cipher suite %s", k.kind)
	}
	if verb == "encrypt" {
		plain, err := base64.StdEncoding.DecodeString(in["plaintext"])
		if err != nil {
			return "", "", fmt.Errorf("failed to base64-decode plaintext")
		}
		v := len(k.versions)
		aead := gcm(k.versions[v-1])
		nonce := fresh()[:aead.NonceSize()]
		return "ciphertext", fmt.Sprintf("vault:v%d:%s", v, base64.StdEncoding.EncodeToString(aead.Seal(nonce, nonce, plain, data))), nil
	}
	rest, ok := strings.CutPrefix(in["ciphertext"], "vault:v")
	number, text, ok2 := strings.Cut(rest, ":")
	v, err := strconv.Atoi(number)
	if !ok || !ok2 || err != nil {
		return "", "", fmt.Errorf("invalid ciphertext: no prefix")
	}
	if v > len(k.versions) {
		return "", "", fmt.Errorf("invalid ciphertext: version is too new")
	}
	if v < k.min {
		return "", "", fmt.Errorf("ciphertext or signature version is disallowed by policy (too old)")
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", "", fmt.Errorf("invalid ciphertext: could not decode base64")
	}
	aead := gcm(k.versions[v-1])
	if len(raw) < aead.NonceSize() {
		return "", "", fmt.Errorf("invalid ciphertext length")
	}
	plain, err := aead.Open(nil, raw[:aead.NonceSize()], raw[aead.NonceSize():], data)
	return "plaintext", base64.StdEncoding.EncodeToString(plain), err
}

func gcm(key []byte) cipher.AEAD {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	a, err := cipher.NewGCM(b)
	if err != nil {
		panic(err)
	}
	return a
}
