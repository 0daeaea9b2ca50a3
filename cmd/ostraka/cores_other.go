//go:build !unix

package main

func withoutCores() error { return nil }
