package keys

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/age"
	"github.com/ostraka/ostraka/node/seal/pkcs11"
	"github.com/ostraka/ostraka/node/seal/transit"
)

const maxRecipients = 64 << 10 // bytes of a file

// Forms is what Parse takes, for people.
const Forms = "passphrase, age:RECIPIENTS_FILE, transit:https://HOST:PORT/MOUNT#KEY, pkcs11:token=LABEL;object=KEY?module-path=LIBRARY, tpm[-pin][:PCRS][@DEVICE] such as tpm:sha256:0,2,4,7"

// Parse reads a provider as operators write it: KIND, or KIND:WHAT. A file of recipients is read here, since the key file holds
// what it says.
func Parse(text string) (p seal.Provider, err error) {
	kind, what, given := strings.Cut(text, ":")
	ofTPM, isTPM := parseTPM(text)
	switch {
	case isTPM:
		p = ofTPM
	case kind == Passphrase && !given:
		p = seal.Provider{Kind: kind}
	case kind == Age && given:
		p, err = parseAge(what)
	case kind == Transit && given:
		p, err = parseTransit(what)
	case kind == PKCS11 && given:
		p, err = parsePKCS11(what)
	default:
		err = fmt.Errorf("%.80q names no key provider: want %s", text, Forms)
	}
	if err == nil {
		err = Check(p)
	}
	return p, err
}

func parseAge(path string) (p seal.Provider, err error) {
	f, err := os.Open(path)
	if err != nil {
		return p, fmt.Errorf("read the recipients: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxRecipients+1))
	if err == nil && len(b) > maxRecipients {
		err = fmt.Errorf("%s has more than %d bytes", path, maxRecipients)
	}
	if err != nil {
		return p, fmt.Errorf("read the recipients: %w", err)
	}
	lines, err := age.Lines(string(b))
	if err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	return seal.Provider{Kind: Age, Params: map[string]string{"recipients": strings.Join(lines, ",")}}, nil
}

func recipientsOf(p seal.Provider) []string {
	if p.Params["recipients"] == "" {
		return nil
	}
	return strings.Split(p.Params["recipients"], ",")
}

// parseTransit reads https://HOST:PORT/MOUNT?namespace=N&ca=FILE#KEY. The mount is transit if it is not said.
func parseTransit(text string) (p seal.Provider, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Fragment == "" {
		return p, errors.New("transit: want https://HOST:PORT/MOUNT#KEY")
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return p, fmt.Errorf("transit: %w", err)
	}
	p = seal.Provider{Kind: Transit, Params: map[string]string{"mount": "transit", "key": u.Fragment}}
	if mount := strings.Trim(u.Path, "/"); mount != "" {
		p.Params["mount"] = mount
	}
	for k, v := range q {
		if k != "namespace" && k != "ca" || len(v) != 1 || v[0] == "" {
			return p, fmt.Errorf("transit: %.40q: namespace and ca may be given, once each", k)
		}
		if p.Params[k] = v[0]; k == "ca" {
			if p.Params[k], err = filepath.Abs(v[0]); err != nil {
				return p, err
			}
		}
	}
	p.Params["url"] = (&url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host}).String()
	return p, nil
}

func transitOf(p seal.Provider) transit.Config {
	return transit.Config{URL: p.Params["url"], Mount: p.Params["mount"], Key: p.Params["key"], Namespace: p.Params["namespace"], CA: p.Params["ca"]}
}

// parsePKCS11 reads a PKCS#11 URI (RFC 7512) of three attributes. A PIN in it would stand in the key file.
func parsePKCS11(text string) (p seal.Provider, err error) {
	p = seal.Provider{Kind: PKCS11, Params: map[string]string{}}
	path, query, _ := strings.Cut(text, "?")
	names := map[string]string{"token": "token", "object": "key", "module-path": "module"}
	for _, part := range append(strings.Split(path, ";"), strings.Split(query, "&")...) {
		k, v, _ := strings.Cut(part, "=")
		name := names[k]
		if strings.HasPrefix(k, "pin-") {
			return p, fmt.Errorf("pkcs11: %s is secret, and would stand in the key file: give --pin-file", k)
		}
		if name == "" || p.Params[name] != "" {
			return p, errors.New("pkcs11: want pkcs11:token=LABEL;object=KEY?module-path=LIBRARY, each once")
		}
		if p.Params[name], err = url.PathUnescape(v); err != nil {
			return p, fmt.Errorf("pkcs11: %s: %w", k, err)
		}
	}
	return p, nil
}

func pkcs11Of(p seal.Provider) pkcs11.Config {
	return pkcs11.Config{Module: p.Params["module"], Token: p.Params["token"], Key: p.Params["key"]}
}
