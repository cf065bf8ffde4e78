// Command api looks at hone's public face: what is exported by the packages that others import.
//
//	go run ./scripts/api          # how much is documented, named in a test, shown in an Example
//	go run ./scripts/api -check   # the same, and fails if something has no doc comment or a function no test
//	go run ./scripts/api -missing # what no Example shows
//	go run ./scripts/api -list    # every declaration, a line each: docs/api.txt is this
//
// A test or an Example counts for a symbol if it names it: the identifier itself for functions and types, a
// selector of that name for methods. So a method counts as tested if a namesake is; it is a floor for the
// careless, no proof.
package main

import (
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	var o options
	flag.BoolVar(&o.check, "check", false, "fail if a symbol has no doc comment, or a function no test")
	flag.BoolVar(&o.missing, "missing", false, "list what no Example shows")
	flag.BoolVar(&o.list, "list", false, "list every public declaration")
	flag.Parse()
	if err := run(os.Stdout, ".", o); err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

type options struct{ check, missing, list bool }

// A symbol is something exported: a function, a method, a type, a variable or a constant.
type symbol struct {
	name        string // "MatMul", "Tensor.MatMul"
	declaration string // in one line, without body and fields that are not exported
	doc         string
	function    bool
}

// implied says that the method is one of an interface of the standard library, which explains and calls it.
func (s symbol) implied() bool {
	switch s.last() {
	case "Error", "Unwrap", "String", "MarshalJSON", "UnmarshalJSON":
		return s.last() != s.name
	}
	return false
}

// last is the identifier by which code names the symbol.
func (s symbol) last() string { return s.name[strings.LastIndexByte(s.name, '.')+1:] }

// A pkg is a public package.
type pkg struct {
	path    string // below the module
	symbols []symbol
}

func run(w io.Writer, root string, o options) error {
	pkgs, tests, examples, err := read(root)
	if err != nil {
		return err
	}
	if o.list {
		for _, p := range pkgs {
			for _, s := range p.symbols {
				fmt.Fprintf(w, "%s: %s\n", p.path, s.declaration)
			}
		}
		return nil
	}
	var faults []error
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "package\tpublic\tdocumented\tin a test\tin an Example\t\n")
	var sum [4]int
	for _, p := range pkgs {
		row := [4]int{len(p.symbols)}
		for _, s := range p.symbols {
			if s.doc != "" || s.implied() {
				row[1]++
			} else {
				faults = append(faults, fmt.Errorf("%s.%s has no doc comment", p.path, s.name))
			}
			if tests[s.last()] || examples[s.last()] {
				row[2]++
			} else if s.function && !s.implied() {
				faults = append(faults, fmt.Errorf("%s.%s is named in no test", p.path, s.name))
			}
			if examples[s.last()] {
				row[3]++
			} else if o.missing {
				fmt.Fprintf(w, "%s.%s is shown in no Example\n", p.path, s.name)
			}
		}
		for i, n := range row {
			sum[i] += n
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t\n", p.path, row[0], row[1], row[2], row[3])
	}
	fmt.Fprintf(table, "all\t%d\t%d\t%d\t%d\t\n", sum[0], sum[1], sum[2], sum[3])
	if err := table.Flush(); err != nil || !o.check {
		return err
	}
	return errors.Join(faults...)
}

// read parses the module: its public packages, and the identifiers in its tests and in its Examples.
func read(root string) (pkgs []pkg, tests, examples map[string]bool, err error) {
	tests, examples = map[string]bool{}, map[string]bool{}
	err = filepath.WalkDir(root, func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		name := d.Name()
		if dir != root && (name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
			return fs.SkipDir
		}
		files := token.NewFileSet()
		sources, testFiles, err := parseDir(files, dir)
		if err != nil {
			return err
		}
		for _, f := range testFiles {
			collect(f, tests, examples)
		}
		path, err := filepath.Rel(root, dir)
		if err != nil {
			return err
		}
		path = filepath.ToSlash(path)
		if len(sources) == 0 || sources[0].Name.Name == "main" || isPrivate(path) {
			return nil
		}
		p, err := doc.NewFromFiles(files, sources, path)
		if err != nil {
			return err
		}
		pkgs = append(pkgs, pkg{path, symbolsOf(files, p)})
		return nil
	})
	return pkgs, tests, examples, err
}

// isPrivate says that others cannot import the package, or are not meant to.
func isPrivate(path string) bool {
	parts := strings.Split(path, "/")
	return slices.Contains(parts, "internal") || parts[0] == "scripts" || parts[0] == "examples"
}

// parseDir parses the Go files of a directory, without those for other systems than linux on amd64.
func parseDir(files *token.FileSet, dir string) (sources, tests []*ast.File, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || !strings.HasSuffix(name, ".go") {
			continue
		}
		f, err := parser.ParseFile(files, filepath.Join(dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, nil, err
		}
		if strings.HasSuffix(name, "_test.go") {
			tests = append(tests, f)
		} else {
			sources = append(sources, f)
		}
	}
	return sources, tests, nil
}

// collect notes the identifiers that a test file uses.
func collect(f *ast.File, tests, examples map[string]bool) {
	for _, d := range f.Decls {
		into := tests
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Example") {
			into = examples
			for name := range strings.SplitSeq(strings.TrimPrefix(fn.Name.Name, "Example"), "_") {
				into[name] = true // what it is an Example of, by go doc's convention
			}
		}
		ast.Inspect(d, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && id.IsExported() {
				into[id.Name] = true
			}
			return true
		})
	}
}

func symbolsOf(files *token.FileSet, p *doc.Package) (symbols []symbol) {
	line := func(n ast.Node) string {
		var b strings.Builder
		_ = printer.Fprint(&b, files, n) // a strings.Builder takes everything
		return strings.Join(strings.Fields(b.String()), " ")
	}
	add := func(name, doc string, n ast.Node) {
		symbols = append(symbols, symbol{name, line(n), doc, true})
	}
	functions := func(receiver string, fs []*doc.Func) {
		for _, f := range fs {
			decl := *f.Decl
			decl.Body, decl.Doc = nil, nil
			add(receiver+f.Name, f.Doc, &decl)
		}
	}
	values := func(vs []*doc.Value) {
		for _, v := range vs {
			for _, spec := range v.Decl.Specs {
				s := spec.(*ast.ValueSpec)
				for _, id := range s.Names {
					if id.IsExported() {
						// The doc of a group speaks for its members.
						symbols = append(symbols, symbol{id.Name, v.Decl.Tok.String() + " " + id.Name, v.Doc + s.Doc.Text() + s.Comment.Text(), false})
					}
				}
			}
		}
	}
	values(p.Consts)
	values(p.Vars)
	functions("", p.Funcs)
	for _, t := range p.Types {
		for _, spec := range t.Decl.Specs {
			if s := spec.(*ast.TypeSpec); s.Name.Name == t.Name {
				shown := *s
				shown.Doc, shown.Comment = nil, nil
				symbols = append(symbols, symbol{t.Name, "type " + t.Name + " " + typeLine(line, &shown), t.Doc, false})
			}
		}
		values(t.Consts)
		values(t.Vars)
		functions("", t.Funcs)
		functions(t.Name+".", t.Methods)
	}
	slices.SortStableFunc(symbols, func(a, b symbol) int { return strings.Compare(a.name, b.name) })
	return symbols
}

// typeLine is the type's text with the exported fields and methods, which doc has left alone.
func typeLine(line func(ast.Node) string, s *ast.TypeSpec) string {
	fields := func(list *ast.FieldList) string {
		var parts []string
		for _, f := range list.List {
			names := make([]string, len(f.Names))
			for i, id := range f.Names {
				names[i] = id.Name
			}
			text := line(f.Type)
			if _, method := f.Type.(*ast.FuncType); method && len(names) == 1 {
				parts = append(parts, names[0]+strings.TrimPrefix(text, "func"))
				continue
			}
			parts = append(parts, strings.TrimSpace(strings.Join(names, ", ")+" "+text))
		}
		return "{ " + strings.Join(parts, "; ") + " }"
	}
	switch t := s.Type.(type) {
	case *ast.StructType:
		return "struct " + fields(t.Fields)
	case *ast.InterfaceType:
		return "interface " + fields(t.Methods)
	}
	text := line(s.Type)
	if s.Assign.IsValid() {
		text = "= " + text
	}
	return text
}
