package tensor_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// notOps are exported functions of tensors that are not ops of the tables, and what tests them instead.
var notOps = map[string]string{
	"AllClose":      "asks the host; compare_test.go",
	"Equal":         "asks the host; compare_test.go",
	"AdamWStep":     "works in place; tested in adamw_test.go",
	"AdamWBlocks":   "adamw_test.go",
	"MuonStep":      "works in place; tested in muon_test.go",
	"SGDStep":       "works in place; tested in momentum_test.go",
	"LionStep":      "works in place; tested in momentum_test.go",
	"AdafactorStep": "works in place; tested in adafactor_test.go",
	"Backward":      "autograd_test.go",
	"Block":         "block_test.go",
	"Checkpoint":    "block_test.go",
	"Custom":        "custom_test.go",
	"CopyFrom":      "works in place; create_test.go",
	"Bind":          "works in place; bind_test.go",
	"CopyFromBytes": "works in place; create_test.go",
	"CopyFromSlice": "works in place; create_test.go",
	"Multinomial":   "is random; sample_test.go",
	"Dropout":       "is random; rand_test.go",
	"Fill":          "works in place; create_test.go",
	"FillRandn":     "works in place; rand_test.go",
	"FillUniform":   "works in place; rand_test.go",
	"Free":          "memory_test.go",
	"In":            "is part of every test",
	"RoPETable":     "goldens in golden_test.go; takes integers",
	"Selective":     "recompute_test.go",
	"SetTrainable":  "is part of every test",
	"To":            "changes the dtype, which gradcheck cannot; dtype_test.go",
	"ToSlice":       "copies to the host; create_test.go",
	"WriteTo":       "copies to the host; create_test.go",
	"Keep":          "scope_test.go",
	"NewGrads":      "grads_test.go",
	"Of":            "grads_test.go",
	"Unscaled":      "grads_test.go",
	"Has":           "grads_test.go",
}

// queries only ask something of a tensor.
var queries = []string{"Bytes", "DType", "Device", "Dim", "Float64s", "IsContiguous", "Item", "Len", "Rank", "Scope", "Shape", "String", "Trainable"}

func TestEveryOpHasACaseInTheTables(t *testing.T) {
	checked := map[string]bool{}
	for _, c := range append(differentiable(), constants()...) {
		checked[c.op] = true
	}
	exported := exportedOps(t)
	for _, op := range exported {
		_, other := notOps[op]
		if !checked[op] && !other && !slices.Contains(queries, op) {
			t.Errorf("%s is in no table: add it to differentiable or constants in ops_table_test.go", op)
		}
	}
	for op := range checked {
		if !slices.Contains(exported, op) {
			t.Errorf("the tables check %s, which the package does not have", op)
		}
	}
	for op := range notOps {
		if !slices.Contains(exported, op) {
			t.Errorf("notOps has %s, which the package does not have", op)
		}
	}
}

// exportedOps are the names of the exported functions and methods that take a *Tensor.
func exportedOps(t *testing.T) []string {
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !fn.Name.IsExported() {
				continue
			}
			fields := fn.Type.Params.List
			if fn.Recv != nil {
				if !isExportedReceiver(fn.Recv.List[0].Type) {
					continue
				}
				fields = append(fields, fn.Recv.List...)
			}
			for _, field := range fields {
				if mentionsTensor(field.Type) {
					names = append(names, fn.Name.Name)
					break
				}
			}
		}
	}
	if len(names) < 60 {
		t.Fatalf("found only %d ops: the scan is broken", len(names))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func isExportedReceiver(e ast.Expr) bool {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	id, ok := e.(*ast.Ident)
	return ok && id.IsExported() && id.Name != "gradient"
}

func mentionsTensor(e ast.Expr) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		found = found || ok && id.Name == "Tensor"
		return !found
	})
	return found
}
