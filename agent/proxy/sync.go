package proxy

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// applied is what the kernel has, as far as the proxy knows.
type applied struct {
	rules map[types.NamespacedName]*ruleset
	all   bool                // everything must be written anew
	lost  bool                // what the kernel has isn't known
	other map[string]struct{} // chains of an earlier start; kept until everything is known
}

// sync renders the services that changed and applies the difference.
func (p *Proxy) sync(ctx context.Context) error {
	p.mu.Lock()
	dirty := p.dirty
	p.dirty = map[types.NamespacedName]struct{}{}
	next := make(map[types.NamespacedName]*ruleset, len(dirty))
	for k := range dirty {
		next[k] = p.render(p.services[k], p.slices[k])
	}
	p.mu.Unlock()
	for {
		err := p.reprepare(ctx)
		if err == nil {
			err = p.apply(ctx, next)
		}
		var r *refused
		if errors.As(err, &r) && r.owner != (types.NamespacedName{}) {
			p.options.Log.Error("the kernel refuses a service's rules; it is left out until it changes", "service", r.owner, "error", err)
			next[r.owner] = &ruleset{}
			continue
		}
		if err != nil {
			p.mu.Lock()
			for k := range dirty {
				p.touch(k)
			}
			p.mu.Unlock()
		}
		return err
	}
}

// reprepare looks anew at what the kernel has after a failure: a restore is all or
// nothing for each table, not for both.
func (p *Proxy) reprepare(ctx context.Context) error {
	if !p.applied.lost {
		return nil
	}
	if _, err := p.prepare(ctx); err != nil {
		return err
	}
	p.applied.lost = false
	return nil
}

// apply writes the rulesets next over those applied.
func (p *Proxy) apply(ctx context.Context, next map[types.NamespacedName]*ruleset) error {
	a := &p.applied
	if len(next) == 0 && !a.all {
		return nil
	}
	merged := maps.Clone(a.rules)
	for k, r := range next {
		if r.empty() {
			delete(merged, k)
		} else {
			merged[k] = r
		}
	}
	s := p.script(merged, next)
	if s.Len() > 0 {
		if err := restore(ctx, s); err != nil {
			a.lost = true
			return err
		}
	}
	var stale []staleFlow
	for k, now := range next {
		if old := a.rules[k]; old != nil {
			stale = append(stale, staleFlows(old, now)...)
		}
	}
	a.rules, a.all, a.other = merged, false, nil
	if err := forget(stale); err != nil {
		p.options.Log.Error("UDP clients may stay with endpoints that are gone", "error", err)
	}
	return nil
}

func (r *ruleset) empty() bool {
	return len(r.chains)+len(r.services)+len(r.nodePorts)+len(r.hairpin)+len(r.reject)+len(r.nodeReject) == 0
}

// script is what turns the applied rules into merged, which differs in next only.
func (p *Proxy) script(merged, next map[types.NamespacedName]*ruleset) *script {
	a := &p.applied
	write := next
	if a.all {
		write = merged
	}
	s := &script{}
	none := types.NamespacedName{}
	order := slices.SortedFunc(maps.Keys(merged), compareNames)
	changed := func(of func(*ruleset) []string) bool {
		for k, r := range next {
			old := a.rules[k]
			if old == nil {
				old = &ruleset{}
			}
			if !slices.Equal(of(old), of(r)) {
				return true
			}
		}
		return a.all
	}
	shared := func(chain string, of func(*ruleset) []string, last string) {
		if !changed(of) {
			return
		}
		written := map[string]bool{}
		s.line(none, ":", chain, " - [0:0]")
		for _, k := range order {
			for _, rule := range of(merged[k]) {
				if written[rule] {
					continue // a pod of two services
				}
				written[rule] = true
				s.line(k, "-A ", chain, " ", rule)
			}
		}
		if last != "" {
			s.line(none, "-A ", chain, " ", last)
		}
	}
	// Chains come before the rules that jump to them, and go after them.
	s.line(none, "*nat")
	gone := map[string]struct{}{}
	maps.Copy(gone, a.other)
	var own [][2]string
	owners := map[string]types.NamespacedName{}
	for _, k := range slices.SortedFunc(maps.Keys(write), compareNames) {
		r, old := write[k], a.rules[k]
		if old == nil {
			old = &ruleset{}
		}
		for _, chain := range slices.Sorted(maps.Keys(r.chains)) {
			have, ok := old.chains[chain]
			if ok && !a.all && slices.Equal(have, r.chains[chain]) {
				continue
			}
			s.line(k, ":", chain, " - [0:0]")
			owners[chain] = k
			for _, rule := range r.chains[chain] {
				own = append(own, [2]string{chain, rule})
			}
		}
		for chain := range old.chains {
			if _, ok := r.chains[chain]; !ok {
				gone[chain] = struct{}{}
			}
		}
	}
	for k, r := range a.rules {
		if _, ok := merged[k]; !ok {
			for chain := range r.chains {
				gone[chain] = struct{}{}
			}
		}
	}
	for _, r := range own {
		s.line(owners[r[0]], "-A ", r[0], " ", r[1])
	}
	shared(p.names.hairpin(), func(r *ruleset) []string { return r.hairpin }, "")
	shared(p.names.nodePorts(), func(r *ruleset) []string { return r.nodePorts }, "")
	shared(p.names.services(), func(r *ruleset) []string { return r.services },
		"-m addrtype --dst-type LOCAL -j "+p.names.nodePorts())
	for _, k := range order {
		for chain := range merged[k].chains {
			delete(gone, chain) // it was an earlier start's, and is needed again
		}
	}
	for _, chain := range slices.Sorted(maps.Keys(gone)) {
		s.line(none, ":", chain, " - [0:0]")
	}
	for _, chain := range slices.Sorted(maps.Keys(gone)) {
		s.line(none, "-X ", chain)
	}
	s.line(none, "COMMIT")
	s.line(none, "*filter")
	shared(p.names.reject(), func(r *ruleset) []string { return r.reject }, "")
	shared(p.names.nodeReject(), func(r *ruleset) []string { return r.nodeReject }, "")
	s.line(none, "COMMIT")
	if len(s.owners) == 4 {
		return &script{} // nothing but the tables' frames
	}
	return s
}

func compareNames(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) }
