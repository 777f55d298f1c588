package csi

// Settle waits until drivers that came were asked to unstage what nobody uses.
func (n *Node) Settle() { n.cleaning.Wait() }
