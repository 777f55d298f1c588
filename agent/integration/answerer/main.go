// Command answerer is what the probes of the integration tests ask: it answers
// TCP on 7000, HTTP on 8080, HTTPS on 8443 with a certificate that nobody
// signed, and gRPC's health service on 9000. A GET of /stop/tcp, /stop/https or
// /stop/grpc makes one of them fail.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	listen := func(address string) net.Listener {
		l, err := net.Listen("tcp", address)
		if err != nil {
			log.Fatal(err)
		}
		return l
	}
	plain, rpc, control := listen(":7000"), listen(":9000"), listen(":8080")
	certificate, err := selfSigned()
	if err != nil {
		log.Fatal(err)
	}
	secure := tls.NewListener(listen(":8443"), &tls.Config{Certificates: []tls.Certificate{certificate}})

	go func() {
		for {
			c, err := plain.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	healthy := health.NewServer()
	healthy.SetServingStatus("deep", grpc_health_v1.HealthCheckResponse_SERVING)
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, healthy)
	go func() { log.Fatal(server.Serve(rpc)) }()
	var broken atomic.Bool
	go func() {
		log.Fatal(http.Serve(secure, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if broken.Load() || r.Header.Get("X-Probe") != "yes" {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})))
	}()
	http.HandleFunc("GET /stop/tcp", func(http.ResponseWriter, *http.Request) { plain.Close() })
	http.HandleFunc("GET /stop/https", func(http.ResponseWriter, *http.Request) { broken.Store(true) })
	http.HandleFunc("GET /stop/grpc", func(http.ResponseWriter, *http.Request) {
		healthy.SetServingStatus("deep", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	})
	log.Fatal(http.Serve(control, nil))
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
