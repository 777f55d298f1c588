package events_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/reckon-project/reckon/events"
)

// Every type constant is in Types, once, with a writer that exists.
func TestTypesAreAClosedList(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "types.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]string{}
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			if v.Type != nil { // the writers
				continue
			}
			value, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			if other := declared[value]; other != "" {
				t.Errorf("%s and %s are both %q", other, v.Names[0].Name, value)
			}
			declared[value] = v.Names[0].Name
			if _, ok := events.Types[value]; !ok {
				t.Errorf("%s has no writer in Types", v.Names[0].Name)
			}
		}
	}
	if len(declared) != len(events.Types) {
		t.Errorf("%d constants, %d types", len(declared), len(events.Types))
	}
	writers := map[events.Writer]bool{events.WriterGateway: true, events.WriterScheduler: true, events.WriterAgent: true,
		events.WriterControllers: true, events.WriterBus: true}
	for typ, w := range events.Types {
		if !writers[w] {
			t.Errorf("%s is written by %q", typ, w)
		}
	}
}
