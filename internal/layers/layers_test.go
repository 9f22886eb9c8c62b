package layers

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "github.com/tdxkit/tdxkit"

func root() fs.FS { return os.DirFS("../..") }

func TestImports(t *testing.T)   { report(t, checkImports(load(t, root()))) }
func TestImporters(t *testing.T) { report(t, checkImporters(load(t, root()))) }
func TestCalls(t *testing.T)     { report(t, checkCalls(load(t, root()), allowed)) }

func TestFileLength(t *testing.T) {
	tree := load(t, root())
	for _, f := range tree.files {
		if f.lines > longFile {
			t.Logf("%s has %d lines", f.name, f.lines)
		}
	}
	report(t, checkLength(tree))
}

// TestPolicyIsSound checks the tables themselves: a package that is allowed must have rows of its own, and none may
// allow a package that tests alone import.
func TestPolicyIsSound(t *testing.T) {
	for pkg, imports := range policy {
		for _, i := range imports {
			if _, ours := policy[i]; !ours && i != "*" && !strings.Contains(i, ".") {
				t.Errorf("policy of %s allows %s, which has no row", pkg, i)
			}
			if slices.Contains(testOnly, i) {
				t.Errorf("policy of %s allows %s, which is for tests only", pkg, i)
			}
		}
		if cycle := findCycle(pkg, nil); cycle != nil {
			t.Errorf("policy allows a cycle: %s", strings.Join(cycle, " → "))
		}
	}
	for _, e := range allowed {
		if len(e.reason) < 20 {
			t.Errorf("%s: %s is allowed without a reason", e.file, e.call)
		}
	}
}

// TestVerifierStandsAlone holds what a relying party's verifier is made of: no module of others, and no parser of
// firmware, kernels, disk images or YAML, however deep.
func TestVerifierStandsAlone(t *testing.T) {
	barred := []string{"ovmf", "ovmf/secureboot", "tdvf", "kernel", "kernel/shim", "acpi", "acpi/aml", "smbios", "mr/predict", "internal/decompress", "internal/lzma", "dstack/compose"}
	seen := map[string]bool{}
	var walk func(pkg, by string)
	walk = func(pkg, by string) {
		if strings.Contains(pkg, ".") || pkg == "*" || slices.Contains(barred, pkg) {
			t.Errorf("%s may import %s", by, pkg)
		}
		if seen[pkg] {
			return
		}
		seen[pkg] = true
		for _, i := range policy[pkg] {
			walk(i, pkg)
		}
	}
	walk("verify", "verify")
	if len(seen) < 8 {
		t.Errorf("walked %d packages, want at least 8", len(seen))
	}
}

func findCycle(pkg string, seen []string) []string {
	if slices.Contains(seen, pkg) {
		return append(seen, pkg)
	}
	for _, i := range policy[pkg] {
		if _, ours := policy[i]; ours {
			if c := findCycle(i, append(slices.Clone(seen), pkg)); c != nil {
				return c
			}
		}
	}
	return nil
}

// TestChecksFind feeds the checks trees that break one rule each: a check that finds nothing proves nothing.
func TestChecksFind(t *testing.T) {
	imports := func(paths ...string) string {
		s := "package p\n"
		for _, p := range paths {
			s += fmt.Sprintf("import _ %q\n", p)
		}
		return s
	}
	for _, tc := range []struct {
		name  string
		files map[string]string
		check func(tree) []string
		want  string // a part of the only problem; empty where there is none
	}{
		{"import that is allowed", map[string]string{"efi/a.go": imports("fmt", module+"/internal/bin")}, checkImports, ""},
		{"import upwards", map[string]string{"efi/a.go": imports(module + "/ovmf")}, checkImports, "efi imports ovmf"},
		{"package without a row", map[string]string{"extra/a.go": imports()}, checkImports, "extra has no row"},
		{"module without a row", map[string]string{"efi/a.go": imports("github.com/saferwall/pe")}, checkImports, "efi imports github.com/saferwall/pe"},
		{"package of a module that is allowed", map[string]string{"kernel/a.go": imports("github.com/saferwall/pe/log")}, checkImports, ""},
		{"module whose name begins alike", map[string]string{"kernel/a.go": imports("github.com/saferwall/peculiar")}, checkImports, "peculiar"},
		{"fixtures in a library", map[string]string{"efi/a.go": imports(module + "/fixtures")}, checkImports, "efi imports fixtures"},
		{"fixtures in the command", map[string]string{"cmd/tdxkit/a.go": imports(module + "/fixtures")}, checkImports, "cmd/tdxkit imports fixtures"},
		{"fixtures in a test", map[string]string{"efi/a_test.go": imports(module + "/fixtures")}, checkImports, ""},
		{"module in a test", map[string]string{"efi/a_test.go": imports("github.com/google/go-cmp/cmp")}, checkImports, ""},
		{"another's module in a test", map[string]string{"efi/a_test.go": imports("github.com/saferwall/pe")}, checkImports, "efi imports github.com/saferwall/pe"},
		{"os in a library", map[string]string{"efi/a.go": imports("os")}, checkImports, "efi/a.go imports os"},
		{"os in the command", map[string]string{"cmd/tdxkit/a.go": imports("os")}, checkImports, ""},
		{"os in a test", map[string]string{"efi/a_test.go": imports("os")}, checkImports, ""},
		{"module with two importers", map[string]string{
			"go.mod":          "module x\nrequire github.com/urfave/cli/v2 v2.0.0 // indirect\n",
			"cmd/tdxkit/a.go": imports("github.com/urfave/cli/v2"), "cmd/other/a.go": imports("github.com/urfave/cli/v2/altsrc"),
		}, checkImporters, "cli/v2 is imported by cmd/other, cmd/tdxkit"},
		{"module with one importer", map[string]string{
			"go.mod":          "module x\nrequire (\n\tgithub.com/urfave/cli/v2 v2.0.0\n)\n",
			"cmd/tdxkit/a.go": imports("github.com/urfave/cli/v2", "github.com/urfave/cli/v2/altsrc"),
		}, checkImporters, ""},
		{"module that go.mod does not name", map[string]string{"go.mod": "module x\n", "cmd/tdxkit/a.go": imports("example.com/m")}, checkImporters, "example.com/m is in no module"},
		{"panic", map[string]string{"efi/a.go": "package p\nfunc f() { panic(1) }"}, checkAllCalls, "efi/a.go:2: f calls panic"},
		{"print by another name", map[string]string{"efi/a.go": "package p\nimport x \"fmt\"\nvar _ = func() { x.Println() }"}, checkAllCalls, "calls fmt.Println"},
		{"clock as a value", map[string]string{"efi/a.go": "package p\nimport \"time\"\nvar now = time.Now"}, checkAllCalls, "calls time.Now"},
		{"clock in a test", map[string]string{"efi/a_test.go": "package p\nimport \"time\"\nvar now = time.Now"}, checkAllCalls, ""},
		{"exception without its call", map[string]string{"efi/guid.go": "package p"}, func(tr tree) []string { return checkCalls(tr, allowed[:1]) }, "never made"},
		{"long file", map[string]string{"efi/a.go": "package p\n" + strings.Repeat("\n", longestFile)}, checkLength, "has 601 lines"},
		{"file of another module", map[string]string{"efi/sub/go.mod": "module y", "efi/sub/a.go": imports("os")}, checkImports, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := fstest.MapFS{}
			for name, s := range tc.files {
				m[name] = &fstest.MapFile{Data: []byte(s)}
			}
			got := tc.check(load(t, m))
			if tc.want == "" && len(got) > 0 {
				t.Errorf("got %q, want no problem", got)
			}
			if tc.want != "" && (len(got) != 1 || !strings.Contains(got[0], tc.want)) {
				t.Errorf("got %q, want one problem with %q", got, tc.want)
			}
		})
	}
}

func report(t *testing.T, problems []string) {
	t.Helper()
	for _, p := range problems {
		t.Error(p)
	}
}

// A file is one Go source file, parsed.
type file struct {
	name, pkg string // slash-separated paths from the root
	lines     int
	fset      *token.FileSet
	ast       *ast.File
}

func (f file) isTest() bool { return strings.HasSuffix(f.name, "_test.go") }

func (f file) imports() []string {
	var paths []string
	for _, i := range f.ast.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		paths = append(paths, p)
	}
	return paths
}

type tree struct {
	files   []file
	modules []string // that go.mod requires
}

// load parses every Go file below the root that is part of this module.
func load(t *testing.T, root fs.FS) tree {
	t.Helper()
	var tr tree
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipFolder(root, name)
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		tr.files = append(tr.files, file{name, path.Dir(name), bytes.Count(src, []byte("\n")), fset, f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	mod, _ := fs.ReadFile(root, "go.mod")
	for _, line := range strings.Split(string(mod), "\n") {
		f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(f) >= 2 && strings.HasPrefix(f[1], "v") && strings.Contains(f[0], ".") {
			tr.modules = append(tr.modules, f[0])
		}
	}
	return tr
}

// skipFolder leaves out hidden folders, test data and other modules.
func skipFolder(root fs.FS, name string) error {
	if name == "." {
		return nil
	}
	base := path.Base(name)
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" {
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, path.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

// within reports whether p is one of the prefixes or below one.
func within(p string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool {
		return p == prefix || strings.HasPrefix(p, prefix+"/")
	})
}

func isLibrary(pkg string) bool { return !within(pkg, edge) && !within(pkg, testOnly) }

// rowOf returns the policy of a package; scripts share one row.
func rowOf(pkg string) ([]string, bool) {
	if within(pkg, []string{"scripts"}) {
		pkg = "scripts"
	}
	row, ok := policy[pkg]
	return row, ok
}

func checkImports(tr tree) []string {
	var problems []string
	for _, f := range tr.files {
		row, ok := rowOf(f.pkg)
		if !ok {
			problems = append(problems, fmt.Sprintf("%s: package %s has no row in the policy", f.name, f.pkg))
			continue
		}
		for _, p := range f.imports() {
			if why := refused(f, row, p); why != "" {
				problems = append(problems, why)
			}
		}
	}
	return problems
}

// refused says why a file may not import p, or nothing.
func refused(f file, row []string, p string) string {
	ours, isOurs := strings.CutPrefix(p, module+"/")
	switch {
	case isOurs && f.isTest():
		return "" // a test may look at anything
	case isOurs && !within(f.pkg, testOnly) && within(ours, testOnly):
		return fmt.Sprintf("%s: %s imports %s, which is for tests only", f.name, f.pkg, ours)
	case isOurs && !slices.Contains(row, ours) && !slices.Contains(row, "*"):
		return fmt.Sprintf("%s: %s imports %s, policy: %q", f.name, f.pkg, ours, row)
	case isOurs:
		return ""
	case isStandard(p):
		if instead, ok := forbiddenImports[p]; ok && isLibrary(f.pkg) && !f.isTest() {
			return fmt.Sprintf("%s imports %s, which is for the edge: %s", f.name, p, instead)
		}
		return ""
	case f.isTest() && within(p, testModules):
		return ""
	case !within(p, row) && !slices.Contains(row, "*"):
		return fmt.Sprintf("%s: %s imports %s, policy: %q", f.name, f.pkg, p, row)
	}
	return ""
}

func isStandard(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return !strings.Contains(first, ".")
}

// checkImporters finds modules that more than one package's code imports.
func checkImporters(tr tree) []string {
	var problems []string
	importers := map[string][]string{}
	for _, f := range tr.files {
		for _, p := range f.imports() {
			if isStandard(p) || within(p, []string{module}) || f.isTest() {
				continue
			}
			m := moduleOf(tr.modules, p)
			if m == "" {
				problems = append(problems, fmt.Sprintf("%s: %s is in no module of go.mod", f.name, p))
			} else if !slices.Contains(importers[m], f.pkg) {
				importers[m] = append(importers[m], f.pkg)
			}
		}
	}
	for m, pkgs := range importers {
		if len(pkgs) > 1 {
			slices.Sort(pkgs)
			problems = append(problems, fmt.Sprintf("module %s is imported by %s, want one of them", m, strings.Join(pkgs, ", ")))
		}
	}
	slices.Sort(problems)
	return problems
}

func moduleOf(modules []string, p string) string {
	longest := ""
	for _, m := range modules {
		if within(p, []string{m}) && len(m) > len(longest) {
			longest = m
		}
	}
	return longest
}

func checkAllCalls(tr tree) []string { return checkCalls(tr, nil) }

// checkCalls finds what only the edge may call or refer to.
func checkCalls(tr tree, exceptions []exception) []string {
	var problems []string
	used := make([]bool, len(exceptions))
	for _, f := range tr.files {
		if f.isTest() || !isLibrary(f.pkg) {
			continue
		}
		for _, c := range forbiddenIn(f) {
			i := slices.IndexFunc(exceptions, func(e exception) bool {
				return e.file == f.name && e.function == c.function && e.call == c.name
			})
			if i >= 0 {
				used[i] = true
				continue
			}
			problems = append(problems, fmt.Sprintf("%s:%d: %s calls %s: %s instead", f.name, c.line, c.function, c.name, c.instead))
		}
	}
	for i, e := range exceptions {
		if !used[i] {
			problems = append(problems, fmt.Sprintf("%s: %s may call %s, a call that is never made", e.file, e.function, e.call))
		}
	}
	return problems
}

type call struct {
	function, name, instead string
	line                    int
}

func forbiddenIn(f file) []call {
	names := map[string]string{} // of an imported package in this file, to its path
	for _, i := range f.ast.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		name := path.Base(p)
		if i.Name != nil {
			name = i.Name.Name
		}
		names[name] = p
	}
	var calls []call
	for _, d := range f.ast.Decls {
		function := "a declaration"
		if fn, ok := d.(*ast.FuncDecl); ok {
			function = fn.Name.Name
		}
		ast.Inspect(d, func(n ast.Node) bool {
			key, ok := reference(n, names)
			if instead, bad := forbiddenCalls[key]; ok && bad {
				name := strings.TrimPrefix(key[0]+"."+key[1], ".")
				calls = append(calls, call{function, name, instead, f.fset.Position(n.Pos()).Line})
			}
			return true
		})
	}
	return calls
}

// reference returns package and name of what a node refers to: a selector on an imported package, or a built-in call.
func reference(n ast.Node, names map[string]string) (key [2]string, ok bool) {
	switch n := n.(type) {
	case *ast.SelectorExpr:
		if x, isIdent := n.X.(*ast.Ident); isIdent && names[x.Name] != "" {
			return [2]string{names[x.Name], n.Sel.Name}, true
		}
	case *ast.CallExpr:
		if fn, isIdent := n.Fun.(*ast.Ident); isIdent {
			return [2]string{"", fn.Name}, true
		}
	}
	return key, false
}

func checkLength(tr tree) []string {
	var problems []string
	for _, f := range tr.files {
		if f.lines > longestFile {
			problems = append(problems, fmt.Sprintf("%s has %d lines, want at most %d", f.name, f.lines, longestFile))
		}
	}
	return problems
}
