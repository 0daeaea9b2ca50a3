// Command transitengine serves the real transit engine of Vault 1.14, the last that is MPL-2.0, and what OpenBao's came from, for
// nightly tests of node/seal/transit. The engine, its errors and how they become answers are Vault's own packages; tokens, the seal
// and the one mount are some lines here, since the whole server would need a thousand modules.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"reflect"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

type server struct {
	engine  logical.Backend
	storage logical.Storage
	token   string // may encrypt and decrypt, and no more
	admin   string // may do everything, and seal
	sealed  bool
}

func main() {
	token, admin := flag.String("token", "", ""), flag.String("admin", "", "")
	flag.Parse()
	if err := run(*token, *admin); err != nil {
		fmt.Fprintln(os.Stderr, "transitengine:", err)
		os.Exit(1)
	}
}

func run(token, admin string) error {
	ctx := context.Background()
	s := &server{storage: &logical.InmemStorage{}, token: token, admin: admin}
	var err error
	if s.engine, err = transit.Factory(ctx, &logical.BackendConfig{
		StorageView: s.storage, System: &logical.StaticSystemView{}, Logger: hclog.NewNullLogger(), Config: map[string]string{}, BackendUUID: "tests",
	}); err != nil {
		return err
	}
	complete(s.engine)
	if err := s.engine.Initialize(ctx, &logical.InitializationRequest{Storage: s.storage}); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + l.Addr().String())
	return http.Serve(l, s)
}

// complete gives the paths that may create a check of what is there, which this release's framework asks of them and its engine
// forgot for one that no test uses.
func complete(engine logical.Backend) {
	b := reflect.ValueOf(engine).Elem().FieldByName("Backend").Interface().(*framework.Backend)
	for _, p := range b.Paths {
		if p.ExistenceCheck == nil {
			p.ExistenceCheck = func(context.Context, *logical.Request, *framework.FieldData) (bool, error) { return true, nil }
		}
	}
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token := r.Header.Get("X-Vault-Token")
	path, mounted := strings.CutPrefix(r.URL.Path, "/v1/transit/")
	switch {
	case token == s.admin && r.URL.Path == "/v1/sys/seal":
		s.sealed = true
		w.WriteHeader(http.StatusNoContent)
	case token == s.admin && r.URL.Path == "/v1/sys/unseal":
		s.sealed = false
		w.WriteHeader(http.StatusNoContent)
	case s.sealed:
		logical.RespondError(w, http.StatusServiceUnavailable, consts.ErrSealed)
	case !mounted:
		logical.RespondError(w, http.StatusNotFound, fmt.Errorf("no handler for route %q. route entry not found.", strings.TrimPrefix(r.URL.Path, "/v1/")))
	default:
		s.serve(w, r, path, token)
	}
}

func (s *server) serve(w http.ResponseWriter, r *http.Request, path, token string) {
	q := &logical.Request{ID: "1", Operation: logical.UpdateOperation, Path: path, Storage: s.storage, ClientToken: token, Data: map[string]any{}}
	if err := json.NewDecoder(r.Body).Decode(&q.Data); err != nil && r.ContentLength > 0 {
		logical.RespondError(w, http.StatusBadRequest, errors.New("error parsing JSON"))
		return
	}
	// What is not there is created, for which a policy has a capability of its own.
	if checked, exists, err := s.engine.HandleExistenceCheck(r.Context(), q); err != nil {
		logical.RespondError(w, http.StatusInternalServerError, err)
		return
	} else if checked && !exists {
		q.Operation = logical.CreateOperation
	}
	ours := token == s.token && q.Operation == logical.UpdateOperation && (strings.HasPrefix(path, "encrypt/") || strings.HasPrefix(path, "decrypt/"))
	if token != s.admin && !ours {
		logical.RespondError(w, http.StatusForbidden, logical.ErrPermissionDenied)
		return
	}
	resp, err := s.engine.HandleRequest(r.Context(), q)
	if status, failed := logical.RespondErrorCommon(q, resp, err); failed != nil {
		logical.RespondError(w, status, failed)
		return
	}
	if resp == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(logical.LogicalResponseToHTTPResponse(resp))
}
