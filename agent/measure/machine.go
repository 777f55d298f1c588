package measure

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// jiffy is the unit of /proc/stat on every architecture of Linux that Go knows.
const jiffy = 10 * time.Millisecond

// Machine is what the machine's kernel counted.
type Machine struct {
	Booted     time.Time
	CPU        uint64 // nanoseconds that its processors worked
	Memory     Memory
	Processes  uint64 // that exist, threads too
	MaxProcess uint64
	Swap, Free uint64 // bytes of swap in use, and free
	Links      []Link
}

// Memory is in bytes.
type Memory struct{ Usage, WorkingSet, Available, RSS uint64 }

// Link is a network interface's counters.
type Link struct {
	Name                                 string
	RxBytes, RxErrors, TxBytes, TxErrors uint64
	RxPackets, RxDropped                 uint64
	TxPackets, TxDropped                 uint64
}

// ReadMachine reads the machine's counters below proc ("/proc").
func ReadMachine(proc string) (Machine, error) {
	var m Machine
	if err := m.readStat(filepath.Join(proc, "stat")); err != nil {
		return m, err
	}
	if err := m.readMemory(filepath.Join(proc, "meminfo")); err != nil {
		return m, err
	}
	load, err := os.ReadFile(filepath.Join(proc, "loadavg"))
	if err != nil {
		return m, fmt.Errorf("count processes: %w", err)
	}
	if fields := strings.Fields(string(load)); len(fields) > 3 {
		_, all, _ := strings.Cut(fields[3], "/")
		m.Processes, _ = strconv.ParseUint(all, 10, 64) //nolint:errcheck // unknown is 0
	}
	if most, err := os.ReadFile(filepath.Join(proc, "sys/kernel/pid_max")); err == nil {
		m.MaxProcess, _ = strconv.ParseUint(strings.TrimSpace(string(most)), 10, 64) //nolint:errcheck // unknown is 0
	}
	if m.Links, err = ReadLinks(filepath.Join(proc, "net/dev")); err != nil {
		return m, err
	}
	return m, nil
}

func (m *Machine) readStat(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the machine's CPU time: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) > 8 && fields[0] == "cpu":
			// user nice system idle iowait irq softirq steal; guests are in user
			for i, text := range fields[1:9] {
				n, err := strconv.ParseUint(text, 10, 64)
				if err != nil {
					return fmt.Errorf("read the machine's CPU time: %w", err)
				}
				if i != 3 && i != 4 && i != 7 {
					m.CPU += n * uint64(jiffy)
				}
			}
		case len(fields) == 2 && fields[0] == "btime":
			if n, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				m.Booted = time.Unix(n, 0)
			}
		}
	}
	return nil
}

func (m *Machine) readMemory(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read the machine's memory: %w", err)
	}
	defer f.Close()
	has := map[string]uint64{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		if fields := strings.Fields(rest); len(fields) > 0 {
			if n, err := strconv.ParseUint(fields[0], 10, 64); err == nil {
				has[name] = n << 10
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the machine's memory: %w", err)
	}
	m.Memory.Usage = less(has["MemTotal"], has["MemFree"])
	m.Memory.WorkingSet = less(m.Memory.Usage, has["Inactive(file)"])
	m.Memory.Available = less(has["MemTotal"], m.Memory.WorkingSet)
	m.Memory.RSS = has["AnonPages"]
	m.Free, m.Swap = has["SwapFree"], less(has["SwapTotal"], has["SwapFree"])
	return nil
}

// less is a-b, and 0 when b is more.
func less(a, b uint64) uint64 { return a - min(a, b) }

// ReadLinks reads the counters of the interfaces of a network namespace
// ("/proc/<pid>/net/dev"), but for the loopback's.
func ReadLinks(path string) ([]Link, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read network counters: %w", err)
	}
	var out []Link
	for line := range strings.Lines(string(data)) {
		name, rest, ok := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if name = strings.TrimSpace(name); !ok || len(fields) < 16 || name == "lo" {
			continue
		}
		n := make([]uint64, 16)
		for i := range n {
			if n[i], err = strconv.ParseUint(fields[i], 10, 64); err != nil {
				return nil, fmt.Errorf("read network counters of %s: %w", name, err)
			}
		}
		out = append(out, Link{Name: name, RxBytes: n[0], RxPackets: n[1], RxErrors: n[2], RxDropped: n[3], TxBytes: n[8], TxPackets: n[9], TxErrors: n[10], TxDropped: n[11]})
	}
	return out, nil
}
