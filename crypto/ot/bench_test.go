package ot

import "testing"

// CPU of each role per signing session and ordered pair, and of a whole set-up.
func BenchmarkRoles(b *testing.B) {
	r := stream("bench")
	id, sid := idOf("bench", 0), [32]byte{}
	l, p := setUp(b, id, r)
	a := scalars(b, r)
	rcv, extension, err := Extend(id, l, r)
	if err != nil {
		b.Fatal(err)
	}
	snd, err := Check(id, p, extension)
	if err != nil {
		b.Fatal(err)
	}
	once := *snd
	_, product, err := once.Multiply(sid, a, r)
	if err != nil {
		b.Fatal(err)
	}

	run := func(name string, f func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("B/extend", func() error { _, _, err := Extend(id, l, r); return err })
	run("A/check", func() error { _, err := Check(id, p, extension); return err })
	run("A/multiply", func() error { s := *snd; _, _, err := s.Multiply(sid, a, r); return err })
	run("B/finish", func() error { s := *rcv; _, err := s.Finish(sid, product); return err })
	run("setup", func() error { setUp(b, id, r); return nil })
}
