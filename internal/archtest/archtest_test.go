package archtest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type pkg struct {
	ImportPath, Name, Doc, Dir string
	GoFiles, Imports           []string
}

func (p pkg) rel() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

func TestArchitecture(t *testing.T) {
	pkgs := list(t)
	used := map[string]bool{}
	for _, p := range pkgs {
		checkNames(t, p)
		checkImports(t, p, used)
		checkSource(t, p)
	}
	for _, r := range rules {
		if !used[r.pkg] && !strings.HasSuffix(r.pkg, "...") {
			t.Errorf("rule for %q matches no package any more; take it out", r.pkg)
		}
	}
}

func checkNames(t *testing.T, p pkg) {
	t.Helper()
	if p.Doc == "" {
		t.Errorf("%s: no package comment", p.ImportPath)
	}
	if slices.Contains(banned, p.Name) {
		t.Errorf("%s: %q says nothing; name it after what it does", p.ImportPath, p.Name)
	}
}

func checkImports(t *testing.T, p pkg, used map[string]bool) {
	t.Helper()
	rel := p.rel()
	i := slices.IndexFunc(rules, func(r rule) bool { return match(r.pkg, rel) })
	if i < 0 {
		t.Errorf("%s: no import rule; a new folder is a decision, write it into rules_test.go", p.ImportPath)
		return
	}
	used[rules[i].pkg] = true
	isPure := slices.ContainsFunc(pure, func(q string) bool { return match(q, rel) })
	for _, imp := range p.Imports {
		for _, c := range confined {
			if strings.HasPrefix(imp, c.prefix) && !anyMatch(c.where, rel) {
				t.Errorf("%s imports %s, which only %s may", p.ImportPath, imp, c.where)
			}
		}
		if isPure && slices.Contains(impure, imp) {
			t.Errorf("%s imports %s: it must stay pure", p.ImportPath, imp)
		}
		if rel == "" && strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") {
			t.Errorf("the vocabulary imports %s: %s", imp, rules[i].why)
		}
		target, ours := strings.CutPrefix(imp, module)
		target = strings.TrimPrefix(target, "/")
		if ours && target != "" && !anyMatch(rules[i].may, target) {
			t.Errorf("%s must not import %s: %s", p.ImportPath, target, rules[i].why)
		}
	}
}

func checkSource(t *testing.T, p pkg) {
	t.Helper()
	total := 0
	for _, f := range p.GoFiles {
		path := filepath.Join(p.Dir, f)
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if generated(src) {
			continue
		}
		lines := bytes.Count(src, []byte("\n"))
		total += lines
		if lines > maxFileLines {
			t.Errorf("%s/%s: %d lines, limit %d", p.rel(), f, lines, maxFileLines)
		}
		if p.rel() == "cmd/belay" && lines > mainTop {
			t.Errorf("%s/%s: %d lines, limit %d", p.rel(), f, lines, mainTop)
		}
		fset := token.NewFileSet()
		tree, err := parser.ParseFile(fset, path, src, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		checkFuncs(t, p, fset, tree)
		checkClock(t, p, fset, tree)
	}
	if total > maxPackageLines {
		t.Errorf("%s: %d lines, limit %d; split it", p.rel(), total, maxPackageLines)
	}
}

func checkFuncs(t *testing.T, p pkg, fset *token.FileSet, tree *ast.File) {
	t.Helper()
	for _, d := range tree.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		at := fset.Position(fn.Pos())
		where := p.rel() + "/" + filepath.Base(at.Filename) + ": " + fn.Name.Name
		if fn.Recv == nil && fn.Name.Name == "init" {
			t.Errorf("%s: no init: %s", where, noInit)
		}
		if n := fset.Position(fn.End()).Line - at.Line + 1; n > maxFuncLines {
			t.Errorf("%s has %d lines, limit %d", where, n, maxFuncLines)
		}
		if n := fn.Type.Params.NumFields(); n > maxParams {
			t.Errorf("%s takes %d parameters, limit %d; use an options struct", where, n, maxParams)
		}
	}
}

func checkClock(t *testing.T, p pkg, fset *token.FileSet, tree *ast.File) {
	t.Helper()
	if !slices.ContainsFunc(pure, func(q string) bool { return match(q, p.rel()) }) {
		return
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, sel.Sel.Name) {
			at := fset.Position(sel.Pos())
			t.Errorf("%s/%s:%d: time.%s in a pure package; take the time as a parameter", p.rel(), filepath.Base(at.Filename), at.Line, sel.Sel.Name)
		}
		return true
	})
}

// TestNoSleepInTests holds the rule that tests wait for signals or pretend time, never for the wall clock.
func TestNoSleepInTests(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	walkTests(t, root, func(path string, fset *token.FileSet, tree *ast.File) {
		usesBubble := false
		for _, imp := range tree.Imports {
			usesBubble = usesBubble || imp.Path.Value == `"testing/synctest"`
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			at := fset.Position(sel.Pos())
			rel, _ := filepath.Rel(root, path)
			if x.Name == "time" && sel.Sel.Name == "Sleep" && !usesBubble {
				t.Errorf("%s:%d: time.Sleep in a test outside a synctest bubble", rel, at.Line)
			}
			if x.Name == "t" && (sel.Sel.Name == "Skip" || sel.Sel.Name == "Skipf" || sel.Sel.Name == "SkipNow") {
				t.Errorf("%s:%d: a skipped test proves nothing; install what it needs or fail", rel, at.Line)
			}
			return true
		})
	})
}

func walkTests(t *testing.T, root string, visit func(string, *token.FileSet, *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") || strings.Contains(path, "archtest") {
			return nil
		}
		fset := token.NewFileSet()
		tree, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		visit(path, fset, tree)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func generated(src []byte) bool {
	return bytes.Contains(src[:min(len(src), 200)], []byte("Code generated"))
}

func anyMatch(patterns, rel string) bool {
	return slices.ContainsFunc(strings.Fields(patterns), func(p string) bool { return match(p, rel) })
}

func match(pattern, rel string) bool {
	base, deep := strings.CutSuffix(pattern, "...")
	base = strings.TrimSuffix(base, "/")
	return rel == base || deep && (base == "" || strings.HasPrefix(rel, base+"/"))
}

func list(t *testing.T) (pkgs []pkg) {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Doc,Dir,GoFiles,Imports", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list packages: %v\n%s", err, stderr.String())
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatalf("decode go list output: %v", err)
		}
		if len(p.GoFiles) > 0 {
			pkgs = append(pkgs, p)
		}
	}
}
