// Package health asks instances of a service whether they are well: by HTTP, TCP, gRPC, DNS, ICMP or a command.
// Probe asks once; a Monitor asks again and again and settles the answers by rise and fall counts. It does not
// know deployments and decides nothing about them.
//
// TCP, DNS and ICMP use the prober of blackbox_exporter. HTTP does not, because that prober keeps the body to
// itself and the body names the broken dependency and the release; gRPC does not, because that prober asks
// without a deadline, so that a server which accepts and stays silent would hold the check for ever.
package health
