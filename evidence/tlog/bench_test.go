package tlog

import (
	"testing"
)

func BenchmarkCheckInclusion(b *testing.B) {
	f := plant(b, 100_000)
	head := f.head(b, 100_000)
	proof, err := ProveInclusion(100_000, 70_000, f.reader())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := CheckInclusion(head, 70_000, f.leaves[70_000], proof); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckConsistency(b *testing.B) {
	f := plant(b, 100_000)
	old, head := f.head(b, 70_001), f.head(b, 100_000)
	proof, err := ProveConsistency(70_001, 100_000, f.reader())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := CheckConsistency(old, head, proof); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenCheckpoint(b *testing.B) {
	log, x, y := logSigner(b).Verifier(), cosigner(b, 2), cosigner(b, 3)
	signed := cosign(b, cosign(b, checkpoint(b, sampleHead), x, 1000), y, 1000)
	witnesses := []Witness{x.Witness(), y.Witness()}
	for b.Loop() {
		if _, cosigned, err := OpenCheckpoint(signed, log, witnesses); err != nil || len(cosigned) != 2 {
			b.Fatal(err)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	f, log := plant(b, 1000), logSigner(b).Verifier()
	last, r := seen(b, f, 700), ask(b, f, 700, 1000)
	for b.Loop() {
		if _, _, err := Judge(log, last, r); err != nil {
			b.Fatal(err)
		}
	}
}

// A full pass over a published log of 100,000 leaves as long as ours are.
func BenchmarkReadLeaves(b *testing.B) {
	leaves := numbered(100_000)
	for i, l := range leaves {
		leaf := sample
		copy(leaf.ID[:], l)
		leaves[i] = leaf.Encode()
	}
	f := replant(b, leaves)
	head, files := f.head(b, 100_000), publish(b, f, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		if err := ReadLeaves(head, from(files), ignore); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProveFromTiles(b *testing.B) {
	f := plant(b, 100_000)
	head, files := f.head(b, 100_000), publish(b, f, 100_000)
	for b.Loop() {
		if _, err := ProveInclusion(head.Size, 70_000, TileReader(head, from(files))); err != nil {
			b.Fatal(err)
		}
	}
}
