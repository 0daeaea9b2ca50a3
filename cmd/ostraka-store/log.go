package main

import (
	"errors"
	"io"
	"net"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// unsynced is what etcd says, as a warning, of a new member's folder that could not be synced. It goes on without a log of its own, and dies of that (3.7.3,
// wal.Create: closing the folder forgets the error).
const unsynced = "failed to fsync the parent data directory file"

// logger is etcd's, in lines for people, and without what is said at every start and stop though nothing is wrong. broken is called, whatever the level, when the disk
// failed and etcd goes on all the same.
func logger(w io.Writer, level string, broken func()) (*zap.Logger, error) {
	l, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, err
	}
	conf := zap.NewProductionEncoderConfig()
	conf.EncodeTime, conf.EncodeLevel, conf.CallerKey = zapcore.RFC3339TimeEncoder, zapcore.CapitalLevelEncoder, zapcore.OmitKey
	return zap.New(quiet{broken, zapcore.NewCore(zapcore.NewConsoleEncoder(conf), zapcore.Lock(zapcore.AddSync(w)), l)}), nil
}

// quiet drops an entry about a port that was closed because the member stops, and one about certificates on the loopback port of /health, which has none.
type quiet struct {
	broken func()
	zapcore.Core
}

func (q quiet) With(fields []zapcore.Field) zapcore.Core { return quiet{q.broken, q.Core.With(fields)} }

// Enabled hears warnings at every level.
func (q quiet) Enabled(l zapcore.Level) bool { return l >= zapcore.WarnLevel || q.Core.Enabled(l) }

func (q quiet) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if e.Message == unsynced {
		q.broken()
	}
	if q.Core.Enabled(e.Level) {
		return c.AddCore(e, q)
	}
	return c
}

func (q quiet) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if strings.HasSuffix(e.Message, "ignoring key and cert files") {
		return nil
	}
	for _, f := range fields {
		if err, is := f.Interface.(error); is && (errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), "use of closed network connection")) {
			return nil
		}
	}
	return q.Core.Write(e, fields)
}
