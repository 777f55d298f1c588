package nodeipam

import "net/netip"

// pool is a cluster range, divided into ranges of one length.
type pool struct {
	cluster netip.Prefix
	bits    int
	taken   []bool
	free    int // none before it is free
}

func newPool(cluster netip.Prefix, bits int) *pool {
	return &pool{cluster: cluster.Masked(), bits: bits, taken: make([]bool, 1<<(bits-cluster.Bits()))}
}

// take marks all that a range overlaps.
func (p *pool) take(r netip.Prefix) {
	r = r.Masked()
	if !p.cluster.Overlaps(r) {
		return
	}
	first, last := 0, len(p.taken)-1
	if r.Bits() > p.cluster.Bits() {
		first = p.index(r.Addr())
		last = first
		if r.Bits() < p.bits {
			last += 1<<(p.bits-r.Bits()) - 1
		}
	}
	for i := first; i <= last; i++ {
		p.taken[i] = true
	}
}

// next takes the first free range.
func (p *pool) next() (netip.Prefix, bool) {
	for ; p.free < len(p.taken); p.free++ {
		if !p.taken[p.free] {
			p.taken[p.free] = true
			return p.at(p.free), true
		}
	}
	return netip.Prefix{}, false
}

// index is the number of the range that holds an address of the cluster's.
func (p *pool) index(a netip.Addr) int {
	n := 0
	for i, bytes := p.cluster.Bits(), a.AsSlice(); i < p.bits; i++ {
		n = n<<1 | int(bytes[i/8]>>(7-i%8)&1)
	}
	return n
}

// at is the range of a number.
func (p *pool) at(n int) netip.Prefix {
	bytes := p.cluster.Addr().AsSlice()
	for i := p.bits - 1; i >= p.cluster.Bits(); i-- {
		bytes[i/8] |= byte(n&1) << (7 - i%8)
		n >>= 1
	}
	a, _ := netip.AddrFromSlice(bytes)
	return netip.PrefixFrom(a, p.bits)
}
