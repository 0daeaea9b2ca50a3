package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"github.com/ostraka/ostraka/api/ostraka/v1/ostrakav1connect"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/charters"
	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/link"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/wallet"
)

// maxRequest bounds a request's message, in bytes: a statement and its signature.
const maxRequest = 512 << 10

// exportTime is how long an export may take to leave the node at the operator's socket.
const exportTime = 6 * time.Hour

// Serve starts both interfaces of a running node. It fits node.WithServe; stop ends the
// operator's Stop call too.
func Serve(quit context.CancelFunc, log *slog.Logger) node.Serve {
	return func(d *node.Daemon, people, socket net.Listener) (func(context.Context) error, error) {
		cfg, err := link.ServerTLS(d.Key)
		if err != nil {
			return nil, err
		}
		v := &views{d}
		pub := server(outer(newPeople(v)), log)
		own := server(inner(&operator{views: v, quit: quit}), log)
		own.WriteTimeout = exportTime
		go serve(pub, tls.NewListener(people, cfg), log)
		go serve(own, socket, log)
		return func(ctx context.Context) error {
			return errors.Join(pub.Shutdown(ctx), own.Shutdown(ctx))
		}, nil
	}
}

// outer is all that is served over the network.
func outer(p *people) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(ostrakav1connect.NewPeopleHandler(p, connect.WithReadMaxBytes(maxRequest), owning(p.d.Tenure)))
	for path, h := range forAll(p) {
		mux.Handle(path, h)
	}
	return mux
}

// forAll is what everybody is served there, whether the circle knows them or not.
func forAll(p *people) map[string]http.Handler {
	return map[string]http.Handler{
		routeLog:     newLogFiles(p.d.Publish.Get),
		routeWitness: &askWitness{cosign: p.d.Cosign, rate: newRate(rateBurst, ratePer)},
	}
}

// inner is all that is served at the operator's socket.
func inner(o *operator) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(ostrakav1connect.NewOperatorHandler(o, connect.WithReadMaxBytes(maxRequest), owning(o.d.Tenure)))
	return mux
}

func server(h http.Handler, log *slog.Logger) *http.Server {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	return &http.Server{
		Handler: h, Protocols: p, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

func serve(s *http.Server, l net.Listener, log *slog.Logger) {
	if err := s.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		log.Error("interface ended", "address", l.Addr().String(), "error", err)
	}
}

// fail gives an error its code: what people can mend by asking otherwise, what the rules
// refuse, what is not ready yet, and what is our own trouble.
func fail(err error) error {
	if err == nil {
		return nil
	}
	var conflict *circle.ConflictError
	var crowded *decide.CrowdedError
	var broken *charters.BrokenError
	var differs *charters.DiffersError
	var unlisted *charters.RefusedError
	var unbacked *node.UnbackedError
	code := connect.CodeInvalidArgument
	switch {
	case errors.Is(err, decide.ErrUnknown), errors.Is(err, wallet.ErrNoAccount):
		code = connect.CodeNotFound
	case errors.As(err, &crowded), errors.As(err, &broken), errors.As(err, &differs), errors.As(err, &unlisted), errors.As(err, &unbacked):
		code = connect.CodeFailedPrecondition
	case errors.Is(err, signet.ErrStranger):
		// Among nodes such a word may only be early. Whoever hands it in here has the wrong key, or asks a node that lags: neither mends itself.
		code = connect.CodeFailedPrecondition
	case errors.Is(err, sos.ErrForeign), errors.Is(err, sos.ErrPlan), errors.Is(err, sos.ErrMany), errors.Is(err, sos.ErrLate), errors.Is(err, sos.ErrCoerced):
		code = connect.CodeFailedPrecondition
	case errors.Is(err, outbox.ErrLater), errors.Is(err, ceremony.ErrNoKey), errors.Is(err, store.ErrFull), errors.Is(err, journal.ErrUnlogged):
		code = connect.CodeUnavailable
	case errors.Is(err, intent.ErrStranger), errors.Is(err, intent.ErrNoInitiator), errors.Is(err, intent.ErrOwnProposal),
		errors.Is(err, intent.ErrExpired), errors.Is(err, intent.ErrDuplicate), errors.Is(err, intent.ErrClosed),
		errors.Is(err, intent.ErrBurned), errors.Is(err, intent.ErrOtherBytes), errors.Is(err, intent.ErrTooLate),
		errors.Is(err, intent.ErrAlreadySigned), errors.Is(err, charter.ErrAlreadyAccepted), errors.As(err, &conflict):
		code = connect.CodeFailedPrecondition
	}
	return connect.NewError(code, err)
}

func internal(doing string, err error) error {
	return connect.NewError(connect.CodeInternal, fmt.Errorf("%s: %w", doing, err))
}
