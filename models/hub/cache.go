package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/hone-ml/hone/internal/atomicfile"
)

// cache is the folder of one model in the cache:
//
//	models--ORG--NAME/
//	    blobs/ETAG                   the content of a file; ETAG.incomplete as long as it is not all there
//	    refs/REVISION                the commit that a branch or tag was at
//	    snapshots/COMMIT/FILE        a symbolic link to the blob, or the file itself where there are none
//	.locks/models--ORG--NAME/ETAG.lock
type cache struct{ root, repo string }

func (c cache) folder() string { return "models--" + strings.ReplaceAll(c.repo, "/", "--") }

func (c cache) path(parts ...string) string {
	return filepath.Join(append([]string{c.root, c.folder()}, parts...)...)
}

func (c cache) blob(etag string) string       { return c.path("blobs", etag) }
func (c cache) snapshot(commit string) string { return c.path("snapshots", commit) }
func (c cache) lock(etag string) string {
	return filepath.Join(c.root, ".locks", c.folder(), etag+".lock")
}

var commitHash = regexp.MustCompile(`^[0-9a-f]{40}$`)

// commit is what a revision is at, as far as the cache knows.
func (c cache) commit(revision string) (string, bool) {
	if revision == "" {
		revision = DefaultRevision
	}
	if commitHash.MatchString(revision) {
		return revision, true
	}
	if !validRevision(revision) {
		return "", false
	}
	data, err := os.ReadFile(c.path("refs", filepath.FromSlash(revision)))
	commit := strings.TrimSpace(string(data))
	return commit, err == nil && commitHash.MatchString(commit)
}

// refer notes that a revision is at a commit.
func (c cache) refer(revision, commit string) error {
	if revision == "" {
		revision = DefaultRevision
	}
	if revision == commit {
		return nil
	}
	path := c.path("refs", filepath.FromSlash(revision))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		_, err := io.WriteString(w, commit)
		return err
	})
}

// link makes the file of a snapshot from a blob that is whole.
func (c cache) link(commit, name, etag string) error {
	at := filepath.Join(c.snapshot(commit), filepath.FromSlash(name))
	blob := c.blob(etag)
	if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
		return err
	}
	target, err := filepath.Rel(filepath.Dir(at), blob)
	if err != nil {
		return err
	}
	if now, err := os.Readlink(at); err == nil && now == target {
		return nil
	}
	temp := at + ".tmp"
	os.Remove(temp)
	if err := os.Symlink(target, temp); err != nil {
		if runtime.GOOS != "windows" {
			return err
		}
		return os.Rename(blob, at) // Windows wants a privilege for symbolic links
	}
	return os.Rename(temp, at)
}

// has reports whether the file of a snapshot is there with its content.
func (c cache) has(commit string, f remote) bool {
	info, err := os.Stat(filepath.Join(c.snapshot(commit), filepath.FromSlash(f.name)))
	return err == nil && info.Mode().IsRegular() && info.Size() == f.size
}

// complete says what a snapshot lacks of a model.
func complete(snapshot string) error {
	if _, err := os.Stat(filepath.Join(snapshot, "config.json")); err != nil {
		return errors.New("config.json is missing")
	}
	if _, err := os.Stat(filepath.Join(snapshot, "model.safetensors")); err == nil {
		return nil
	}
	const indexName = "model.safetensors.index.json"
	data, err := os.ReadFile(filepath.Join(snapshot, indexName))
	if err != nil {
		return fmt.Errorf("model.safetensors and %s are missing", indexName)
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return fmt.Errorf("%s: %w", indexName, err)
	}
	for _, shard := range index.WeightMap {
		if err := validFile(shard); err != nil {
			return fmt.Errorf("%s names the shard %q: %w", indexName, shard, err)
		}
		if _, err := os.Stat(filepath.Join(snapshot, filepath.FromSlash(shard))); err != nil {
			return fmt.Errorf("%s is missing", shard)
		}
	}
	return nil
}
