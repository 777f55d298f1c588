package gateway

import (
	"context"
	"encoding/json"
	"io"
	"net"

	"github.com/reckon-project/reckon/bus/client"
	"github.com/reckon-project/reckon/events"
)

// lead holds the leadership of a custom controller for who is at the other
// end, until the tunnel ends or the lease is lost. Its writes carry the epoch, so
// that those of one who doesn't know yet that he was replaced are void.
func (s *Server) lead(ctx context.Context, id identity, conn net.Conn) {
	out, in := json.NewEncoder(conn), json.NewDecoder(conn)
	var q client.LeadRequest
	if in.Decode(&q) != nil {
		return
	}
	if id.leadership == "" || !id.known(s.options.Log.Snapshot()) {
		out.Encode(client.Elected{Error: client.AsError(events.ErrInvalid, "%s leads nothing", id.user.GetName())}) //nolint:errcheck // the tunnel ends
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	gone := make(chan struct{})
	go func() { // ends with the tunnel
		defer close(gone)
		defer cancel()
		io.Copy(io.Discard, in.Buffered()) //nolint:errcheck // its end is what counts
		io.Copy(io.Discard, conn)          //nolint:errcheck // its end is what counts
	}()
	defer func() {
		conn.Close()
		<-gone
	}()
	l, err := s.options.Bus.Lead(ctx, id.leadership, q.Holder)
	if err != nil {
		if ctx.Err() == nil {
			out.Encode(client.Elected{Error: refusal(err)}) //nolint:errcheck // the tunnel ends
		}
		return
	}
	defer l.Release()
	if out.Encode(client.Elected{Epoch: l.Epoch}) != nil {
		return
	}
	<-l.Context.Done()
}
