package probe

import (
	"context"
	"net"

	v1 "k8s.io/api/core/v1"
)

func checkTCP(ctx context.Context, a *v1.TCPSocketAction, t Target) error {
	address, err := t.address(a.Host, a.Port)
	if err != nil {
		return err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}
