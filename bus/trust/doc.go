// Package trust is how the programs on a bus know each other: a certificate
// authority of the bus's own, and TLS configurations made from it.
//
//	bus-ca ──signs──► a certificate of each server, in memory, renewed by itself
//	   └── its hash, in every join token ──► who joins checks the server with it
//
// What it promises:
//
//  1. Only servers have certificates of this authority, and they hold its key:
//     it is not the cluster's CA, which signs certificates for anybody whom
//     the API approves.
//  2. A client believes a server that shows a certificate for [Name] signed by
//     the authority it knows, by certificate ([Authority.Client]) or by hash
//     ([Pinned]). At which address it was reached doesn't matter.
//  3. Servers accept one another's connections only with such a certificate.
//
// Clients prove who they are inside the connection, by name and token.
package trust
