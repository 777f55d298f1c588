package archive

// SetSize sets how many events a segment holds at most.
func (l *Log) SetSize(n uint64) { l.size = n }
