package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memory prints what a process's memory consists of, and keeps its heap
// profile, if it has a profiler. That runs the collector, so what the collector
// would have left is in the figure printed first only.
func (p *process) memory(ctx context.Context, what, dir string) error {
	rss := float64(p.rss()) / 1e6
	if dir == "" {
		row("  memory of the server "+what, "%.0f MB RSS (aim 400)", rss)
		return nil
	}
	anonymous := p.smaps("Anonymous:")
	name := filepath.Join(dir, strings.ReplaceAll(what, " ", "-")+".heap")
	if err := p.profile(ctx, "heap?gc=1", name); err != nil {
		return err
	}
	if err := p.profile(ctx, "heap?debug=1", name+".txt"); err != nil {
		return err
	}
	stats, err := readStats(name + ".txt")
	if err != nil {
		return err
	}
	row("  memory of the server "+what, "%.0f MB RSS (aim 400): %.0f anonymous; live %.0f, spans not returned %.0f, stacks %.0f, collector %.0f; %d collections",
		rss, anonymous, stats["HeapAlloc"]/1e6, (stats["HeapIdle"]-stats["HeapReleased"])/1e6, stats["Stack"]/1e6, stats["GCSys"]/1e6, int(stats["NumGC"]))
	return nil
}

// smaps is one figure of the process's mappings, in MB.
func (p *process) smaps(field string) float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if kb, ok := strings.CutPrefix(line, field); ok {
			n, _ := strconv.ParseFloat(strings.Fields(kb)[0], 64)
			return n * 1024 / 1e6
		}
	}
	return 0
}

func (p *process) profile(ctx context.Context, what, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.profiler+"/debug/pprof/"+what, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, answer.Body); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// readStats reads the runtime's figures at the end of a profile as text.
func readStats(path string) (map[string]float64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	stats := map[string]float64{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) >= 4 && fields[0] == "#" && fields[2] == "=" {
			stats[fields[1]], _ = strconv.ParseFloat(fields[3], 64)
		}
	}
	return stats, lines.Err()
}
