package proxy

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// names gives the chains their names, at most 28 bytes long: iptables' limit.
type names struct{ suffix string }

func (n names) services() string    { return "RECKON-SERVICES-" + n.suffix }
func (n names) nodePorts() string   { return "RECKON-NODEPORTS-" + n.suffix }
func (n names) postrouting() string { return "RECKON-POSTROUTING-" + n.suffix }
func (n names) hairpin() string     { return "RECKON-HAIRPIN-" + n.suffix }
func (n names) forward() string     { return "RECKON-PROXY-FWD-" + n.suffix }
func (n names) reject() string      { return "RECKON-REJECT-" + n.suffix }
func (n names) nodeReject() string  { return "RECKON-NODEREJ-" + n.suffix }

// The kinds of chains that services have of their own.
const (
	kindService  = "V" // to all endpoints of a service port
	kindLocal    = "L" // to those on this node
	kindExternal = "X" // what comes from outside to a service port
	kindEndpoint = "E" // to one endpoint, where clients stay with theirs
)

func (n names) own(kind, of string) string {
	sum := sha256.Sum256([]byte(of))
	return "RECKON-" + kind + "-" + n.suffix + "-" + hex.EncodeToString(sum[:5])
}

// isOwn reports whether a chain is a service's of this node.
func (n names) isOwn(chain string) bool {
	for _, kind := range []string{kindService, kindLocal, kindExternal, kindEndpoint} {
		if strings.HasPrefix(chain, "RECKON-"+kind+"-"+n.suffix+"-") {
			return true
		}
	}
	return false
}
