// Package transit is the provider that has an OpenBao or Vault server wrap the data key, with a key that never leaves the server
// (its transit engine; spec/sealing.md 8). It is two POSTs over net/http: the servers' own client brings 17 modules.
//
// The label is bound twice: as associated data, which the server authenticates, and as a hash within the plaintext, since a server
// that ignores a field it does not know would else unbind it silently.
package transit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/node/seal"
)

const (
	// Timeout is how long one request may take.
	Timeout = 15 * time.Second

	maxAnswer     = 64 << 10
	maxCiphertext = 4 << 10
	maxToken      = 8 << 10
	maxCA         = 1 << 20
	version       = 1

	verbEncrypt = "encrypt"
	verbDecrypt = "decrypt"

	unquoted = "; what it says is not shown, for the data key was in the request: its audit log has it"
)

// What a server says, told apart.
var (
	ErrUnreachable = errors.New("the vault cannot be reached")
	ErrLocked      = errors.New("the transit server is sealed: its own operators must unseal it first")
	ErrDenied      = errors.New("the vault denies it: the token is wrong or has run out, or its policy does not allow it")
	ErrNoKey       = errors.New("the vault has no such key, or no transit engine at this mount")
	ErrVersion     = errors.New("the vault does not decrypt with this version of its key any more")
	ErrRefused     = errors.New("the vault refuses what it was sent: it was wrapped by another key or under another label, or was changed")
)

const (
	tagVersion transcript.Tag = iota + 1
	tagCiphertext
)

const (
	tagPlainVersion transcript.Tag = iota + 1
	tagPlainLabel
	tagPlainKey
)

var (
	segment    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	ciphertext = regexp.MustCompile(`^vault:v[1-9][0-9]{0,8}:[A-Za-z0-9+/]{16,}={0,2}$`)
)

// A Config says where the key is. None of it is secret.
type Config struct {
	URL       string // https://host:port; http to a loopback address alone
	Mount     string // of the transit engine, such as transit
	Key       string
	Namespace string // empty: none
	CA        string // file with the certificates that the server's must lead to; empty: the system's
}

// Check holds a configuration to its form.
func (c Config) Check() error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" {
		return fmt.Errorf("transit: url %.80q: want https://HOST:PORT and nothing else", c.URL)
	}
	switch ip := net.ParseIP(u.Hostname()); {
	case u.Scheme == "https":
	case u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()):
		if c.CA != "" {
			return errors.New("transit: ca is of https alone")
		}
	default:
		return fmt.Errorf("transit: url %.80q: the data key and the token would cross the network in the open; give an https:// one", c.URL)
	}
	for i, part := range strings.Split(c.Mount, "/") {
		if !segment.MatchString(part) || i > 8 {
			return fmt.Errorf("transit: mount %.80q: want a path such as transit", c.Mount)
		}
	}
	if !segment.MatchString(c.Key) {
		return fmt.Errorf("transit: key %.80q: want its name, of letters, digits, . _ and -", c.Key)
	}
	for part := range strings.SplitSeq(c.Namespace, "/") {
		if c.Namespace != "" && !segment.MatchString(part) {
			return fmt.Errorf("transit: namespace %.80q: want a path such as custody/prod", c.Namespace)
		}
	}
	return nil
}

// A KEK asks one server. It redacts itself where it is printed.
type KEK struct {
	c     Config
	token func(context.Context) (secret.Bytes, error)
	put   asker
}

var _ seal.KEK = (*KEK)(nil)

// New checks the configuration, and the certificates that it names. token is asked before each request, so that one that another program
// renews is read anew; the KEK wipes what it gives. Each request is made by a process of its own, of this program started with Argument;
// where it is empty, by this process, whose memory then keeps copies of the token and of the data key.
func New(c Config, token func(context.Context) (secret.Bytes, error), program string) (*KEK, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if _, err := client(c); err != nil {
		return nil, err
	}
	k := &KEK{c, token, direct}
	if program != "" {
		k.put = apart(program)
	}
	return k, nil
}

func client(c Config) (*http.Client, error) {
	t := &http.Transport{
		Proxy:               nil, // no environment variable sends the token elsewhere
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10,
	}
	if c.CA != "" {
		pool, err := certificates(c.CA)
		if err != nil {
			return nil, fmt.Errorf("transit: ca: %w", err)
		}
		t.TLSClientConfig.RootCAs = pool
	}
	return &http.Client{Transport: t, Timeout: Timeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the token would go where the answer says
	}}, nil
}

func certificates(path string) (*x509.CertPool, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxCA))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return pool, nil
}

// Name implements seal.KEK.
func (k *KEK) Name() string { return "transit" }

// Format redacts under every verb.
func (k *KEK) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, secret.Redacted) }

// Wrap implements seal.KEK, by the latest version of the server's key.
func (k *KEK) Wrap(ctx context.Context, dek secret.Bytes, label seal.Label) ([]byte, error) {
	data, h, err := bind(label)
	if err != nil {
		return nil, err
	}
	plain := encodePlain(dek, h)
	defer plain.Wipe()
	text, err := k.ask(ctx, question{verb: verbEncrypt, plain: plain, data: data})
	if err != nil {
		return nil, err
	}
	defer text.Wipe()
	return encode(string(text.Expose()))
}

// Unwrap implements seal.KEK.
func (k *KEK) Unwrap(ctx context.Context, wrapped []byte, label seal.Label) (secret.Bytes, error) {
	data, h, err := bind(label)
	if err != nil {
		return secret.Bytes{}, err
	}
	text, err := decode(wrapped)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("decode wrapped data key: %w", err)
	}
	plain, err := k.ask(ctx, question{verb: verbDecrypt, text: text, data: data})
	if err != nil {
		return secret.Bytes{}, err
	}
	defer plain.Wipe()
	return decodePlain(plain.Expose(), h)
}

// ask puts a question with the token as it is now.
func (k *KEK) ask(ctx context.Context, q question) (secret.Bytes, error) {
	token, err := k.token(ctx)
	if err != nil {
		return secret.Bytes{}, err
	}
	defer token.Wipe()
	if n := token.Len(); n == 0 || n > maxToken || bytes.ContainsFunc(token.Expose(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return secret.Bytes{}, errors.New("the vault's token is not one line of printable characters")
	}
	return k.put(ctx, k.c, token, q)
}

// direct sends one request, and gives the ciphertext or the plaintext of the answer.
func direct(ctx context.Context, c Config, token secret.Bytes, q question) (secret.Bytes, error) {
	field, body := "ciphertext", map[string]string{"associated_data": base64.StdEncoding.EncodeToString(q.data)}
	switch q.verb {
	case verbEncrypt:
		body["plaintext"] = base64.StdEncoding.EncodeToString(q.plain.Expose())
	case verbDecrypt:
		field, body["ciphertext"] = "plaintext", q.text
	default:
		return secret.Bytes{}, fmt.Errorf("a vault is not asked to %.20q", q.verb)
	}
	text, err := post(ctx, c, token, q.verb, field, body)
	if err != nil || q.verb == verbEncrypt {
		return text, err
	}
	defer text.Wipe()
	raw := make([]byte, base64.StdEncoding.DecodedLen(text.Len()))
	n, err := base64.StdEncoding.Strict().Decode(raw, text.Expose())
	if err != nil {
		secret.Wipe(raw)
		return secret.Bytes{}, errors.New("the vault's plaintext is no base64")
	}
	return secret.New(raw[:n]), nil
}

// post gives one text field of the answer.
func post(ctx context.Context, c Config, token secret.Bytes, verb, field string, body map[string]string) (secret.Bytes, error) {
	if err := c.Check(); err != nil { // it may be of another process
		return secret.Bytes{}, err
	}
	h, err := client(c)
	if err != nil {
		return secret.Bytes{}, err
	}
	b, err := json.Marshal(body)
	if err != nil {
		return secret.Bytes{}, err
	}
	defer secret.Wipe(b)
	at := c.URL + "/v1/" + c.Mount + "/" + verb + "/" + c.Key
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(b))
	if err != nil {
		return secret.Bytes{}, err
	}
	req.Header.Set("X-Vault-Token", string(token.Expose()))
	req.Header.Set("X-Vault-Request", "true") // a server behind a careless proxy answers nobody without it
	req.Header.Set("Content-Type", "application/json")
	if c.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", c.Namespace)
	}
	res, err := h.Do(req)
	if err != nil {
		return secret.Bytes{}, unreachable(ctx, c, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	defer secret.Wipe(raw)
	if err != nil {
		return secret.Bytes{}, unreachable(ctx, c, err)
	}
	if res.StatusCode != http.StatusOK {
		return secret.Bytes{}, fmt.Errorf("%s of %s: %w", verb, c.URL, classify(verb, res.StatusCode, raw, token))
	}
	text, err := parse(raw, field)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("%s of %s: %w", verb, c.URL, err)
	}
	return text, nil
}

func unreachable(ctx context.Context, c Config, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // which names no address twice
	}
	return fmt.Errorf("%w: %s: %w", ErrUnreachable, c.URL, err)
}

// classify reads an answer that is no success. What the server says of a decryption is quoted, without the token. Of an encryption nothing is: the data key was in the request, and a
// server, or a proxy before it, that quotes what it was sent would put it into this node's log, whole or in part, in whatever form.
func classify(verb string, status int, raw []byte, token secret.Bytes) error {
	words := said(raw, token)
	quoted := words
	if verb == verbEncrypt {
		quoted = unquoted
	}
	in := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(strings.ToLower(words), p) {
				return true
			}
		}
		return false
	}
	kind := ErrRefused
	switch {
	case status >= 300 && status < 400:
		return fmt.Errorf("the vault answers with a redirect (status %d): name the server that is active, or have it forward requests itself", status)
	case status == http.StatusServiceUnavailable && (words == "" || in("sealed")):
		kind = ErrLocked
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		kind = ErrDenied
	case status == http.StatusNotFound || in("encryption key not found", "no handler for route", "unsupported path"):
		kind = ErrNoKey
	case status == http.StatusBadRequest && in("disallowed by policy", "version is too old", "invalid key version"):
		kind = ErrVersion
	case status == http.StatusBadRequest && in("associated_data", "associated data"):
		return fmt.Errorf("the key takes no associated data: make one of type aes256-gcm96%s", quoted)
	case status != http.StatusBadRequest:
		return fmt.Errorf("the vault answers with status %d%s", status, quoted)
	}
	return fmt.Errorf("%w (status %d%s)", kind, status, quoted)
}

// said is what a server's error says, for people, and nothing that a terminal would obey.
func said(raw []byte, token secret.Bytes) string {
	var a struct {
		Errors []string `json:"errors"`
	}
	if len(raw) > maxAnswer || json.Unmarshal(raw, &a) != nil || len(a.Errors) == 0 {
		return ""
	}
	text := strings.Join(a.Errors, "; ")
	if token.Len() > 0 {
		text = strings.ReplaceAll(text, string(token.Expose()), secret.Redacted)
	}
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)), " ")
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "..."
	}
	return ": " + text
}

// parse reads one text field of a successful answer.
func parse(raw []byte, field string) (secret.Bytes, error) {
	if len(raw) > maxAnswer {
		return secret.Bytes{}, fmt.Errorf("the vault's answer has more than %d bytes", maxAnswer)
	}
	var a struct {
		Data map[string]json.RawMessage `json:"data"`
	}
	var text string
	if err := json.Unmarshal(raw, &a); err != nil {
		return secret.Bytes{}, errors.New("the vault's answer is no JSON of its own")
	}
	defer func() { secret.Wipe(a.Data[field]) }()
	if err := json.Unmarshal(a.Data[field], &text); err != nil || text == "" || len(text) > maxCiphertext {
		return secret.Bytes{}, fmt.Errorf("the vault's answer has no %s", field)
	}
	return secret.New([]byte(text)), nil
}

// bind is the label as associated data, and its hash.
func bind(label seal.Label) (data []byte, h [32]byte, err error) {
	data, err = label.Data(transcript.SealWrap)
	return data, sha256.Sum256(data), err
}

func encodePlain(dek secret.Bytes, h [32]byte) secret.Bytes {
	e := transcript.NewSecretEncoder()
	return secret.New(e.Uint(tagPlainVersion, version).Bytes(tagPlainLabel, h[:]).Bytes(tagPlainKey, dek.Expose()).Sum())
}

func decodePlain(b []byte, want [32]byte) (secret.Bytes, error) {
	d := transcript.NewDecoder(b)
	v := d.Uint(tagPlainVersion, version)
	h := d.Fixed(tagPlainLabel, len(want))
	key := d.Fixed(tagPlainKey, seal.KeySize)
	if err := d.Done(); err != nil || v != version {
		return secret.Bytes{}, errors.New("what the vault decrypted is no data key of this form")
	}
	if subtle.ConstantTimeCompare(h, want[:]) != 1 {
		return secret.Bytes{}, fmt.Errorf("%w: it was wrapped under another label", seal.ErrSealed)
	}
	return secret.Copy(key), nil
}

// encode is the wrapped form: the server's own, held to its shape.
func encode(text string) ([]byte, error) {
	if len(text) > maxCiphertext || !ciphertext.MatchString(text) {
		return nil, errors.New("the vault's ciphertext is not of the form vault:vN:…")
	}
	var e transcript.Encoder
	return e.Uint(tagVersion, version).String(tagCiphertext, text).Sum(), nil
}

func decode(b []byte) (string, error) {
	d := transcript.NewDecoder(b)
	if v := d.Uint(tagVersion, version); d.Err() == nil && v != version {
		d.Fail(tagVersion, fmt.Errorf("is %d, this program knows %d", v, version))
	}
	text := d.String(tagCiphertext, maxCiphertext)
	if d.Err() == nil && !ciphertext.MatchString(text) {
		d.Fail(tagCiphertext, errors.New("is not of the form vault:vN:…"))
	}
	return text, d.Done()
}
