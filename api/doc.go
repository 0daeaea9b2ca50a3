// Package api serves a node's two interfaces: People over TLS with the node's identity,
// Operator over a Unix socket. The schema and its generated code stand in api/ostraka/v1
// (protoc with protoc-gen-go and protoc-gen-connect-go; see CONTRIBUTING.md).
//
// Handlers translate; they decide nothing. Whatever people send goes through the same checks
// as a peer's note.
package api
