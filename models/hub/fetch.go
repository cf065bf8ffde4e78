package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hone-ml/hone/internal/atomicfile"
)

// fetch brings one file into the cache, unless it is there.
func (c *client) fetch(ctx context.Context, store cache, commit string, f remote) error {
	if store.has(commit, f) {
		c.report(f.name, f.size, false)
		return nil
	}
	for _, dir := range []string{store.blob(f.etag), store.lock(f.etag)} {
		if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
			return err
		}
	}
	lock, err := c.lock(ctx, store.lock(f.etag), f.name)
	if err != nil {
		return err
	}
	defer lock.Close()
	if info, err := os.Stat(store.blob(f.etag)); err == nil && info.Size() == f.size {
		c.report(f.name, f.size, false)
	} else if err := c.fetchBlob(ctx, store, commit, f); err != nil {
		return err
	}
	if err := store.link(commit, f.name, f.etag); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	return nil
}

// lock waits for the lock of a blob, which keeps two programs from fetching it at once.
func (c *client) lock(ctx context.Context, path, name string) (*os.File, error) {
	for told := false; ; {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if atomicfile.TryLock(f) {
			return f, nil
		}
		f.Close()
		if !told {
			c.log("%s: another program is fetching it; waiting", name)
			told = true
		}
		if err := sleep(ctx, c.wait/4); err != nil {
			return nil, err
		}
	}
}

// fetchBlob downloads until the blob is whole and what it is said to be.
func (c *client) fetchBlob(ctx context.Context, store cache, commit string, f remote) error {
	partial := store.blob(f.etag) + ".incomplete"
	file, err := os.OpenFile(partial, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	defer file.Close()
	p := &piece{client: c, file: file, remote: f}
	if err := p.resume(); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	for wrong := 0; ; wrong++ {
		if err := p.complete(ctx, c.address(store.repo, commit, f.name)); err != nil {
			return err
		}
		err := p.verify()
		if err == nil {
			break
		}
		// What had come before may have been at fault: it is fetched once more from its beginning.
		if wrong > 0 {
			return errors.Join(fmt.Errorf("%s: %w: a proxy or the disk changes it; what came is thrown away, try again later", f.name, err), p.restart())
		}
		c.log("%s: %v; fetching it from the beginning", f.name, err)
		if err := p.restart(); err != nil {
			return err
		}
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	if err := os.Rename(partial, store.blob(f.etag)); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	return nil
}

// piece is a file of which the first bytes are there.
type piece struct {
	*client
	file *os.File
	remote
	have int64
	sum  hash.Hash // of those bytes; nil where the ETag is no hash
}

// restart throws everything away.
func (p *piece) restart() error {
	p.report(p.name, -p.have, false)
	p.have = 0
	p.begin()
	if err := p.file.Truncate(0); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	_, err := p.file.Seek(0, io.SeekStart)
	return err
}

// begin makes the hash of no bytes.
func (p *piece) begin() {
	p.sum = nil
	switch {
	case isHex(p.etag, 2*sha256.Size):
		p.sum = sha256.New()
	case isHex(p.etag, 2*sha1.Size): // Git's: of a header and the content
		p.sum = sha1.New()
		fmt.Fprintf(p.sum, "blob %d\x00", p.size)
	}
}

func isHex(s string, digits int) bool {
	return len(s) == digits && strings.Trim(s, "0123456789abcdef") == ""
}

// resume takes over what an earlier download left.
func (p *piece) resume() error {
	info, err := p.file.Stat()
	if err != nil {
		return err
	}
	left := info.Size()
	if left == 0 || left > p.size {
		return p.restart()
	}
	p.begin()
	if p.sum == nil { // nothing could tell whether it fits to what comes
		return p.restart()
	}
	if p.have, err = io.Copy(p.sum, p.file); err != nil {
		return err
	}
	p.report(p.name, p.have, false)
	return nil
}

// complete fetches the rest. An attempt that brought something is none that failed.
func (p *piece) complete(ctx context.Context, address string) error {
	for p.have < p.size {
		before := p.have
		_, err := repeat(ctx, p.client, p.name, func(ctx context.Context) (struct{}, error) {
			err := p.attempt(ctx, address)
			if p.have > before {
				before = p.have
				if _, ok := errors.AsType[*transient](err); ok && ctx.Err() == nil {
					p.log("%s: %v at byte %d of %d; going on from there", p.name, err, p.have, p.size)
					return struct{}{}, nil
				}
			}
			return struct{}{}, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// attempt asks for the rest and writes what comes.
func (p *piece) attempt(ctx context.Context, address string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := errors.New("the server has gone silent")
	watchdog := time.AfterFunc(p.idle, func() { cancel(silent) })
	defer watchdog.Stop()
	r, err := p.request(ctx, http.MethodGet, address, http.Header{"Range": {fmt.Sprintf("bytes=%d-", p.have)}}, true)
	if err != nil {
		return p.blame(ctx, err, silent)
	}
	defer r.Body.Close()
	if err := p.accept(r, http.StatusOK, http.StatusPartialContent); err != nil {
		return err
	}
	if r.StatusCode == http.StatusPartialContent {
		want := fmt.Sprintf("bytes %d-%d/%d", p.have, p.size-1, p.size)
		if got := r.Header.Get("Content-Range"); got != want {
			return fmt.Errorf("the server gives %.80q, want %q: the file is not what the hub said", got, want)
		}
	} else if err := p.restart(); err != nil { // the server knows no ranges
		return err
	}
	buf := make([]byte, 256<<10)
	for {
		n, err := r.Body.Read(buf)
		watchdog.Reset(p.idle)
		if int64(n) > p.size-p.have {
			return fmt.Errorf("the server gives more than the %d bytes that the hub said", p.size)
		}
		if n > 0 {
			if _, err := p.file.Write(buf[:n]); err != nil {
				return fmt.Errorf("after %d of %d bytes: %w", p.have, p.size, err)
			}
			if p.sum != nil {
				p.sum.Write(buf[:n])
			}
			p.have += int64(n)
			p.report(p.name, int64(n), false)
		}
		switch {
		case err == io.EOF && p.have < p.size:
			return again(io.ErrUnexpectedEOF)
		case err == io.EOF:
			return nil
		case err != nil:
			return p.blame(ctx, again(err), silent)
		}
	}
}

// blame is err, or that the server was silent if that is why the request was given up.
func (p *piece) blame(ctx context.Context, err, silent error) error {
	if context.Cause(ctx) == silent {
		return again(fmt.Errorf("%w for %s", silent, p.idle))
	}
	return err
}

// verify compares the hash of what came with the hub's.
func (p *piece) verify() error {
	if p.sum == nil {
		return nil
	}
	got := hex.EncodeToString(p.sum.Sum(nil))
	if got == p.etag {
		return nil
	}
	return fmt.Errorf("its %s is %s, the hub says %s", map[int]string{2 * sha256.Size: "SHA-256", 2 * sha1.Size: "SHA-1 of Git"}[len(got)], got, p.etag)
}
