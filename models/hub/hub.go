// Package hub fetches models from the Hugging Face hub into the cache that every Hugging Face program shares,
// and finds them there.
//
// A file comes in pieces that survive an interruption: what is there is kept, and the rest is asked for. It
// is what the hub says it is: its SHA-256, or Git's SHA-1 for small files, is computed while it streams, and
// only a file that agrees gets its name. Files come several at once.
//
// The layout of the cache and the meaning of the environment variables are those of the Python package
// huggingface_hub: see [FromEnvironment] and cache.go.
package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// DefaultEndpoint is where models are looked for.
const DefaultEndpoint = "https://huggingface.co"

// Options say where models come from and where they go. The zero value does not look at the environment; see
// FromEnvironment.
type Options struct {
	// Endpoint is the hub's address, DefaultEndpoint if empty.
	Endpoint string
	// Cache is the folder of all models. It is made if need be.
	Cache string
	// Token is sent to the endpoint, and to nobody whom it redirects to.
	Token string
	// Offline forbids every request.
	Offline bool
	// Parallel is how many files come at once, 4 if 0.
	Parallel int
	// Progress is told, at most ten times a second and one call at a time, how far a download is.
	Progress func(Progress)
	// Log is told what goes wrong and is tried again.
	Log func(message string)
}

// Progress is how far a download is.
type Progress struct {
	File        string // the last that got bytes
	Done, Total int64  // bytes of all files, those that were there before included
}

// FromEnvironment is what the environment says:
//
//	HF_ENDPOINT            the endpoint
//	HF_HUB_CACHE           the cache; otherwise HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub or ~/.cache/huggingface/hub
//	HF_TOKEN               the token
//	HF_HUB_OFFLINE         1, true, yes or on: no requests
func FromEnvironment() (Options, error) {
	o := Options{Endpoint: os.Getenv("HF_ENDPOINT"), Cache: os.Getenv("HF_HUB_CACHE"), Token: strings.TrimSpace(os.Getenv("HF_TOKEN"))}
	switch strings.ToLower(os.Getenv("HF_HUB_OFFLINE")) {
	case "1", "true", "yes", "on":
		o.Offline = true
	}
	if o.Cache != "" {
		return o, nil
	}
	home := os.Getenv("HF_HOME")
	if home == "" {
		base := os.Getenv("XDG_CACHE_HOME")
		if base == "" {
			user, err := os.UserHomeDir()
			if err != nil {
				return o, fmt.Errorf("hub: there is no place for models: %w; set HF_HOME to a folder", err)
			}
			base = filepath.Join(user, ".cache")
		}
		home = filepath.Join(base, "huggingface")
	}
	o.Cache = filepath.Join(home, "hub")
	return o, nil
}

// Download brings the model's files into the cache, those that are there already excepted, and returns the
// path that [Find] would: of the folder that holds them, or of the one file that m names. Of a repository
// these are config.json and the other small files that describe a model, and its safetensors.
//
// An error names the file and says what to do. What had come before it stays: the next Download goes on from
// there.
func Download(ctx context.Context, m Model, o Options) (path string, err error) {
	return newClient(o).download(ctx, m)
}

// Find is the path of a model in the cache; ok is false if it, or a part of it, is not there. It asks
// nobody.
func Find(m Model, o Options) (path string, ok bool) {
	c := cache{o.Cache, m.Repo}
	commit, ok := c.commit(m.Revision)
	if !ok {
		return "", false
	}
	snapshot := c.snapshot(commit)
	if m.File != "" {
		path := filepath.Join(snapshot, filepath.FromSlash(m.File))
		_, err := os.Stat(path)
		return path, err == nil
	}
	return snapshot, complete(snapshot) == nil
}

// client downloads.
type client struct {
	Options
	http    *http.Client
	wait    time.Duration // before the first repetition, doubled for each further one
	idle    time.Duration // without a byte, after which a connection counts as dead
	repeats int           // of a request that brought nothing new

	mu       sync.Mutex
	progress Progress
	told     time.Time
}

func newClient(o Options) *client {
	o.Endpoint = strings.TrimRight(cmp.Or(o.Endpoint, DefaultEndpoint), "/")
	o.Parallel = cmp.Or(o.Parallel, 4)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true // ranges and hashes are of the bytes as they are
	transport.MaxIdleConnsPerHost = o.Parallel
	return &client{Options: o, http: &http.Client{Transport: transport}, wait: time.Second, idle: 30 * time.Second, repeats: 5}
}

func (c *client) download(ctx context.Context, m Model) (path string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("hub: %s: %w", m, err)
		}
	}()
	if c.Cache == "" {
		return "", errors.New("no cache is given")
	}
	if c.Offline {
		if path, ok := Find(m, c.Options); ok {
			return path, nil
		}
		return "", fmt.Errorf("it is not in %s, and HF_HUB_OFFLINE forbids to fetch it: unset that, or copy the model's folder there", c.Cache)
	}
	info, err := c.info(ctx, m)
	if err != nil {
		return "", err
	}
	names, err := info.wanted(m)
	if err != nil {
		return "", err
	}
	store := cache{c.Cache, m.Repo}
	if err := c.fetchAll(ctx, store, info.SHA, names); err != nil {
		return "", err
	}
	snapshot := store.snapshot(info.SHA)
	if m.File == "" {
		if err := complete(snapshot); err != nil {
			return "", fmt.Errorf("the repository is not complete: %w", err)
		}
	}
	// Only now, so that a reference never leads to less than a model.
	lock, err := c.lock(ctx, store.lock("refs"), "the reference")
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := store.refer(m.Revision, info.SHA); err != nil {
		return "", err
	}
	return filepath.Join(snapshot, filepath.FromSlash(m.File)), nil
}

// fetchAll fetches files, several at once, and stops at the first error.
func (c *client) fetchAll(ctx context.Context, store cache, commit string, names []string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	heads, err := parallel(ctx, cancel, c.Parallel, names, func(name string) (remote, error) { return c.head(ctx, store.repo, commit, name) })
	if err != nil {
		return err
	}
	for _, h := range heads {
		c.progress.Total += h.size
	}
	_, err = parallel(ctx, cancel, c.Parallel, heads, func(f remote) (struct{}, error) { return struct{}{}, c.fetch(ctx, store, commit, f) })
	if err == nil {
		c.report("", 0, true)
	}
	return err
}

// parallel applies do to each of xs, n at a time. The first error ends the others through cancel.
func parallel[X, Y any](ctx context.Context, cancel context.CancelCauseFunc, n int, xs []X, do func(X) (Y, error)) ([]Y, error) {
	ys := make([]Y, len(xs))
	queue := make(chan int, len(xs))
	for i := range xs {
		queue <- i
	}
	close(queue)
	var wg sync.WaitGroup
	for range min(n, len(xs)) {
		wg.Go(func() {
			for i := range queue {
				if ctx.Err() != nil {
					return
				}
				var err error
				if ys[i], err = do(xs[i]); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return ys, context.Cause(ctx)
}

// report counts n bytes of a file, negative ones for those that were for nothing.
func (c *client) report(file string, n int64, now bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress.Done += n
	if file != "" {
		c.progress.File = file
	}
	if c.Progress == nil || !now && time.Since(c.told) < time.Second/10 {
		return
	}
	c.told = time.Now()
	c.Progress(c.progress)
}

func (c *client) log(format string, args ...any) {
	if c.Log != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.Log(fmt.Sprintf(format, args...))
	}
}
