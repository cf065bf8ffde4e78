package hub

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// DefaultRevision is the branch that is meant where none is named.
const DefaultRevision = "main"

// Model names a model on the hub.
type Model struct {
	Repo     string // "ORG/NAME"
	File     string // the one file that is meant, such as a .gguf, slashes between folders; "" for the whole model
	Revision string // a branch, a tag or a commit; DefaultRevision if empty
}

// part is the name of an organisation, a model, or a folder in one.
var part = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)

// ParseModel reads ORG/NAME, ORG/NAME@REVISION, and either with /FILE behind NAME.
func ParseModel(name string) (Model, error) {
	var m Model
	where, revision, has := strings.Cut(name, "@")
	if has && !validRevision(revision) {
		return m, fmt.Errorf("hub: %q: the revision must be a branch, a tag or a commit", name)
	}
	parts := strings.Split(where, "/")
	// The hub has no two dashes in names: the cache writes the slash so.
	if len(parts) < 2 || strings.Contains(where, "..") || strings.Contains(parts[0]+"/"+parts[1], "--") {
		return m, fmt.Errorf("hub: %q is not ORG/NAME", name)
	}
	for _, p := range parts {
		if !part.MatchString(p) || len(p) > 96 {
			return m, fmt.Errorf("hub: %q is not ORG/NAME: %q is no name of the hub", name, p)
		}
	}
	m = Model{Repo: parts[0] + "/" + parts[1], File: strings.Join(parts[2:], "/"), Revision: cmp.Or(revision, DefaultRevision)}
	return m, nil
}

// String is the model as ParseModel reads it.
func (m Model) String() string {
	s := m.Repo
	if m.File != "" {
		s += "/" + m.File
	}
	if m.Revision != "" && m.Revision != DefaultRevision {
		s += "@" + m.Revision
	}
	return s
}

// validRevision keeps revisions from leading out of the folder of references.
func validRevision(r string) bool {
	if r == "" || len(r) > 200 || strings.Contains(r, "..") {
		return false
	}
	for p := range strings.SplitSeq(r, "/") {
		if !part.MatchString(p) {
			return false
		}
	}
	return true
}

// validFile keeps the names of files, which come from a server, from leading out of their folder.
func validFile(name string) error {
	switch {
	case name == "" || len(name) > 1000 || path.Clean(name) != name || !filepath.IsLocal(filepath.FromSlash(name)),
		strings.ContainsAny(name, "\\:\x00\n\r"):
		return errors.New("its name leads out of the model's folder: it is not fetched")
	}
	return nil
}

// What describes a model, and what holds its weights. Other files of a repository are for other programs.
var (
	described = []string{"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
		"special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "model.safetensors.index.json"}
	weights = regexp.MustCompile(`^model(-\d+-of-\d+)?\.safetensors$`)
)

// wanted are the files of a repository that make the model.
func (i *repoInfo) wanted(m Model) ([]string, error) {
	var names, ggufs, pickles []string
	found, config := false, false
	for _, f := range i.Siblings {
		name := f.Name
		switch {
		case m.File == "" && isDescription(name), name == m.File:
			names = append(names, name)
			config = config || name == "config.json"
		case m.File == "" && weights.MatchString(name):
			names = append(names, name)
			found = true
		}
		switch strings.ToLower(path.Ext(name)) {
		case ".gguf":
			ggufs = append(ggufs, name)
		case ".bin", ".pt", ".pth":
			pickles = append(pickles, name)
		}
	}
	switch {
	case m.File != "" && len(names) == 0:
		return nil, fmt.Errorf("the repository has no file %s%s", m.File, listed(ggufs, ": it has "))
	case m.File != "":
	case !found && len(ggufs) > 0:
		return nil, fmt.Errorf("the repository holds GGUF files: name one, as in %s/%s%s", m.Repo, ggufs[0], listed(ggufs[1:], "; others are "))
	case !found && len(pickles) > 0:
		return nil, fmt.Errorf("the repository holds %s but no safetensors, and hone does not read pickles: convert it with transformers' save_pretrained", pickles[0])
	case !found || !config:
		return nil, errors.New("the repository holds no config.json with model.safetensors: it is no model that hone can load")
	}
	for _, name := range names {
		if err := validFile(name); err != nil {
			return nil, fmt.Errorf("file %q: %w", name, err)
		}
	}
	return names, nil
}

func isDescription(name string) bool {
	for _, d := range described {
		if name == d {
			return true
		}
	}
	return false
}

// listed is a few names after a word, "" if there are none.
func listed(names []string, word string) string {
	if len(names) == 0 {
		return ""
	}
	shown := names[:min(5, len(names))]
	more := ""
	if len(names) > len(shown) {
		more = ", …"
	}
	return word + strings.Join(shown, ", ") + more
}
