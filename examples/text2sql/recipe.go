package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hone-ml/hone/internal/atomicfile"
)

// recipeFile is the recipe in a run's directory: every flag of the command that made it.
const recipeFile = "recipe.json"

// notInRecipes are flags that say what to do now rather than how a run is made.
var notInRecipes = []string{"recipe", "resume", "plan"}

// readRecipe sets the flags that a recipe names, but for those given on the command line. A recipe is one
// flat JSON object, the flags' names without their dash and their values: {"lr": 2e-5, "packing": true}.
func readRecipe(path string, fs *flag.FlagSet) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("-recipe: %w", err)
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	line := func() int { return 1 + bytes.Count(raw[:d.InputOffset()], []byte("\n")) }
	at := func(err error) error {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("%s:%d: %w", path, line(), err)
	}
	if open, err := d.Token(); err != nil {
		return at(err)
	} else if open != json.Delim('{') {
		return at(errors.New("a recipe is one JSON object of flags"))
	}
	seen := map[string]bool{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return at(err)
		}
		name := key.(string) // or Token had failed
		value, err := d.Token()
		if err != nil {
			return at(err)
		}
		if _, nested := value.(json.Delim); nested || value == nil {
			return at(fmt.Errorf("%q is neither a text, a number nor true or false", name))
		}
		switch {
		case fs.Lookup(name) == nil || slices.Contains(notInRecipes, name):
			return at(fmt.Errorf("no flag of a recipe is named %q; the nearest is %q", name, nearestFlag(fs, name, notInRecipes...)))
		case seen[name]:
			return at(fmt.Errorf("%q is there twice", name))
		}
		seen[name] = true
		if given[name] {
			continue
		}
		if err := fs.Set(name, fmt.Sprint(value)); err != nil {
			return at(fmt.Errorf("%q is %v: %w", name, value, err))
		}
	}
	if _, err := d.Token(); err != nil {
		return at(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return at(errors.New("there is more behind the object"))
	}
	return nil
}

// writeRecipe makes the recipe of a command: its flags as they are now.
func writeRecipe(dir string, fs *flag.FlagSet) error {
	var b bytes.Buffer
	b.WriteString("{")
	var err error
	fs.VisitAll(func(f *flag.Flag) {
		if slices.Contains(notInRecipes, f.Name) || err != nil {
			return
		}
		var value any = withoutPassword(f.Value.String())
		if g, ok := f.Value.(flag.Getter); ok {
			switch v := g.Get().(type) {
			case bool, int, uint64, float64:
				value = v
			}
		}
		var raw []byte
		if raw, err = json.Marshal(value); err == nil {
			if b.Len() > 1 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "\n  %q: %s", f.Name, raw)
		}
	})
	if err != nil {
		return err
	}
	b.WriteString("\n}\n")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, recipeFile), func(w io.Writer) error {
		_, err := w.Write(b.Bytes())
		return err
	})
}

var (
	password     = regexp.MustCompile(`(postgres(?:ql)?://[^:@/\s]*):[^@/\s]*@`)
	passwordWord = regexp.MustCompile(`\bpassword\s*=\s*('(?:[^'\\]|\\.)*'|[^\s&']*)`)
)

// withoutPassword takes the password out of a DSN, so that no file of a run gives it away.
func withoutPassword(s string) string {
	return passwordWord.ReplaceAllString(password.ReplaceAllString(s, "$1@"), "")
}

// nearestFlag is the flag whose name takes the fewest changes to be name, but for some.
func nearestFlag(fs *flag.FlagSet, name string, but ...string) (best string) {
	least := 1 << 30
	fs.VisitAll(func(f *flag.Flag) {
		if slices.Contains(but, f.Name) {
			return
		}
		if d := editDistance(strings.ReplaceAll(name, "_", "-"), f.Name); d < least {
			best, least = f.Name, d
		}
	})
	return best
}

// editDistance is Levenshtein's: the fewest insertions, deletions and replacements of bytes that make b of a.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
