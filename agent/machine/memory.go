package machine

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Proc is where a machine tells of itself, "/proc".
type Proc string

// Memory is in bytes.
type Memory struct {
	Total int64
	// Available is what isn't in a working set: free, or file pages that weren't
	// used of late. This is what the kubelet compares, not MemAvailable.
	Available int64
	Swap      int64 // all there is
}

// Memory reads meminfo.
func (p Proc) Memory() (Memory, error) {
	f, err := os.Open(filepath.Join(string(p), "meminfo"))
	if err != nil {
		return Memory{}, err
	}
	defer f.Close()
	var out Memory
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			continue
		}
		switch name {
		case "MemTotal":
			out.Total = n << 10
		case "MemFree", "Inactive(file)":
			out.Available += n << 10
		case "SwapTotal":
			out.Swap = n << 10
		}
	}
	if out.Total == 0 {
		return Memory{}, fmt.Errorf("%s/meminfo doesn't tell the memory: %v", p, lines.Err())
	}
	return out, nil
}

// PIDs gives how many tasks may still be made, and how many there may be at once.
func (p Proc) PIDs() (left, most int64, err error) {
	for _, name := range []string{"sys/kernel/pid_max", "sys/kernel/threads-max"} {
		n, err := p.number(name)
		if err != nil {
			return 0, 0, err
		}
		if most == 0 || n < most {
			most = n
		}
	}
	data, err := os.ReadFile(filepath.Join(string(p), "loadavg"))
	if err != nil {
		return 0, 0, err
	}
	fields := strings.Fields(string(data)) // 0.20 0.18 0.12 running/all last
	if len(fields) < 4 {
		return 0, 0, fmt.Errorf("%s/loadavg isn't understood: %q", p, data)
	}
	_, all, _ := strings.Cut(fields[3], "/")
	n, err := strconv.ParseInt(all, 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("%s/loadavg isn't understood: %w", p, err)
	}
	return most - n, most, nil
}

func (p Proc) number(name string) (int64, error) { return readNumber(filepath.Join(string(p), name)) }

func readNumber(path string) (int64, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	return n, nil
}
