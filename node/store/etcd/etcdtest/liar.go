package etcdtest

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
)

// A Lie is what a false member answers to a question of a method, such as "Range", in place of what the true one answers. Ask asks that one; it need not be asked.
type Lie func(method string, question []byte, ask func() ([]byte, error)) ([]byte, error)

// A Liar stands before a member, speaks gRPC as it does, and answers as its test wants.
type Liar struct {
	Endpoint string
	server   *grpc.Server
	member   *grpc.ClientConn

	mu  sync.Mutex
	lie Lie
}

// NewLiar makes one before an endpoint; conf is a replica's.
func NewLiar(endpoint string, conf *tls.Config) (*Liar, error) {
	member, err := grpc.NewClient(strings.TrimPrefix(endpoint, "https://"), grpc.WithTransportCredentials(credentials.NewTLS(conf)),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(bytesCodec{}), grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return nil, err
	}
	at, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, member.Close())
	}
	l := &Liar{Endpoint: "http://" + at.Addr().String(), member: member}
	l.server = grpc.NewServer(grpc.ForceServerCodec(bytesCodec{}), grpc.UnknownServiceHandler(l.serve))
	go l.server.Serve(at) //nolint:errcheck // ends when the server is stopped
	return l, nil
}

// Tell sets what it answers; nil: the truth.
func (l *Liar) Tell(lie Lie) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lie = lie
}

// Close ends it.
func (l *Liar) Close() {
	l.server.Stop()
	_ = l.member.Close()
}

// serve answers one call: of a watch all that comes, of all others each question by one answer.
func (l *Liar) serve(_ any, s grpc.ServerStream) error {
	full, _ := grpc.MethodFromServerStream(s)
	method := full[strings.LastIndex(full, "/")+1:]
	md, _ := metadata.FromIncomingContext(s.Context())
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(s.Context(), md.Copy()))
	defer cancel()
	up, err := l.member.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, full)
	if err != nil {
		return err
	}
	for {
		var question []byte
		if err := s.RecvMsg(&question); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := l.answer(method, question, s, up); err != nil {
			return err
		}
		for method == "Watch" {
			if err := l.answer(method, nil, s, up); err != nil {
				return err
			}
		}
	}
}

func (l *Liar) answer(method string, question []byte, s grpc.ServerStream, up grpc.ClientStream) error {
	l.mu.Lock()
	lie := l.lie
	l.mu.Unlock()
	ask := func() (answer []byte, err error) {
		if question != nil {
			if err := up.SendMsg(&question); err != nil && !errors.Is(err, io.EOF) { // then RecvMsg says why
				return nil, err
			}
			if method != "Watch" && method != "LeaseKeepAlive" {
				if err := up.CloseSend(); err != nil {
					return nil, err
				}
			}
		}
		err = up.RecvMsg(&answer)
		return answer, err
	}
	if lie == nil {
		lie = func(_ string, _ []byte, ask func() ([]byte, error)) ([]byte, error) { return ask() }
	}
	answer, err := lie(method, question, ask)
	if err != nil {
		return err
	}
	return s.SendMsg(&answer)
}

// bytesCodec leaves messages as they are.
type bytesCodec struct{}

func (bytesCodec) Name() string                  { return "proto" }
func (bytesCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (bytesCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte{}, data...)
	return nil
}
