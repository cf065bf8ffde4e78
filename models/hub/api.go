package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// The most that a server may answer where it should answer little.
const (
	maxInfo      = 32 << 20 // the list of a repository's files
	maxMessage   = 200      // of an error's text that is shown
	maxRedirects = 10
)

// repoInfo is the hub's description of a repository at a revision.
type repoInfo struct {
	SHA      string `json:"sha"`
	Siblings []struct {
		Name string `json:"rfilename"`
	} `json:"siblings"`
}

// info asks what a repository holds.
func (c *client) info(ctx context.Context, m Model) (*repoInfo, error) {
	revision := m.Revision
	if revision == "" {
		revision = DefaultRevision
	}
	address := c.Endpoint + "/api/models/" + m.Repo + "/revision/" + url.PathEscape(revision)
	return repeat(ctx, c, "the list of files", func(ctx context.Context) (*repoInfo, error) {
		ctx, cancel := context.WithTimeout(ctx, c.idle)
		defer cancel()
		r, err := c.request(ctx, http.MethodGet, address, nil, true)
		if err != nil {
			return nil, err
		}
		defer r.Body.Close()
		if err := c.accept(r, http.StatusOK); err != nil {
			return nil, err
		}
		data, err := io.ReadAll(io.LimitReader(r.Body, maxInfo+1))
		if err != nil {
			return nil, again(err)
		}
		return parseInfo(data)
	})
}

func parseInfo(data []byte) (*repoInfo, error) {
	if len(data) > maxInfo {
		return nil, fmt.Errorf("the server's list of files is over %d MiB long: it is no hub", maxInfo>>20)
	}
	var info repoInfo
	if err := json.Unmarshal(data, &info); err != nil {
		return nil, fmt.Errorf("the server's list of files is no JSON, %w: is HF_ENDPOINT a hub, and is there a proxy that wants a login?", err)
	}
	if !commitHash.MatchString(info.SHA) {
		return nil, fmt.Errorf("the server names the commit %.60q, which is none: HF_ENDPOINT is no hub", info.SHA)
	}
	return &info, nil
}

// remote is a file on the hub.
type remote struct {
	name string
	etag string // by which it is pinned: its SHA-256, or Git's SHA-1
	size int64
}

var validETag = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$`)

func (c *client) address(repo, commit, name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return c.Endpoint + "/" + repo + "/resolve/" + commit + "/" + path.Join(parts...)
}

// head asks for the hash and the size of a file. The content of large files lies elsewhere: what the hub says of it
// stands in the answer that leads there, which is therefore not followed.
func (c *client) head(ctx context.Context, repo, commit, name string) (remote, error) {
	return repeat(ctx, c, name, func(ctx context.Context) (remote, error) {
		ctx, cancel := context.WithTimeout(ctx, c.idle)
		defer cancel()
		r, err := c.request(ctx, http.MethodHead, c.address(repo, commit, name), nil, false)
		if err != nil {
			return remote{}, err
		}
		defer r.Body.Close()
		if r.StatusCode < 300 || r.StatusCode > 399 {
			if err := c.accept(r, http.StatusOK); err != nil {
				return remote{}, err
			}
		}
		return describe(name, commit, r.Header)
	})
}

// describe reads what the headers of an answer say of a file.
func describe(name, commit string, h http.Header) (remote, error) {
	f := remote{name: name, etag: h.Get("X-Linked-Etag")}
	if f.etag == "" {
		f.etag = h.Get("Etag")
	}
	f.etag = strings.Trim(strings.TrimPrefix(f.etag, "W/"), `"`)
	if !validETag.MatchString(f.etag) || strings.HasSuffix(f.etag, ".incomplete") {
		return f, fmt.Errorf("the server gives the ETag %.60q, by which the file cannot be told: HF_ENDPOINT is no hub", f.etag)
	}
	if got := h.Get("X-Repo-Commit"); got != "" && got != commit {
		return f, fmt.Errorf("the server gives the file of commit %.60s, want %s: try again", got, commit)
	}
	length := h.Get("X-Linked-Size")
	if length == "" {
		length = h.Get("Content-Length")
	}
	var err error
	if f.size, err = strconv.ParseInt(length, 10, 64); err != nil || f.size < 0 {
		return f, fmt.Errorf("the server says that the file has %.60q bytes", length)
	}
	return f, nil
}

// request sends a request and follows redirects: all of them, or only those within the hub's own host, whose first
// one elsewhere is then the answer.
func (c *client) request(ctx context.Context, method, address string, header http.Header, everywhere bool) (*http.Response, error) {
	start, err := url.Parse(address)
	if err != nil || start.Host == "" || start.Scheme != "http" && start.Scheme != "https" {
		return nil, fmt.Errorf("HF_ENDPOINT %q is no address, such as %s", c.Endpoint, DefaultEndpoint)
	}
	client := *c.http // of its own, for its rule of redirects
	client.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		same := next.URL.Host == start.Host
		switch {
		case !same && !everywhere:
			return http.ErrUseLastResponse
		case len(via) > maxRedirects:
			return &refusal{errors.New("the server redirects in circles")}
		case start.Scheme == "https" && next.URL.Scheme != "https":
			return &refusal{fmt.Errorf("the server redirects from https to %s, which is not followed", next.URL.Scheme)}
		}
		if !same {
			next.Header.Del("Authorization") // also for hosts below the hub's, where net/http keeps it
		}
		return nil
	}
	r, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	for key, values := range header {
		r.Header[key] = values
	}
	r.Header.Set("User-Agent", "hone")
	r.Header.Set("Accept-Encoding", "identity")
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	answer, err := client.Do(r)
	if refused, ok := errors.AsType[*refusal](err); ok {
		return nil, refused
	}
	if err != nil {
		return nil, again(withoutQuery(err))
	}
	return answer, nil
}

// refusal is an error of ours about where a request leads.
type refusal struct{ error }

// withoutQuery leaves out of an error what signs an address.
func withoutQuery(err error) error {
	if wrong, ok := errors.AsType[*url.Error](err); ok {
		wrong.URL, _, _ = strings.Cut(wrong.URL, "?")
	}
	return err
}

// accept turns the hub's refusals into errors that say what to do, and those that pass into errors that are tried
// again.
func (c *client) accept(r *http.Response, want ...int) error {
	for _, status := range want {
		if r.StatusCode == status {
			return nil
		}
	}
	text, _ := io.ReadAll(io.LimitReader(r.Body, maxMessage)) // as much as there is
	message := shown(cmp.Or(r.Header.Get("X-Error-Message"), string(text)))
	token := "set HF_TOKEN to a token that may read it"
	if c.Token != "" {
		token = "HF_TOKEN is set, but may not read it"
	}
	switch code := r.Header.Get("X-Error-Code"); {
	case code == "EntryNotFound":
		return errors.New("the repository has no such file at this revision")
	case code == "RevisionNotFound":
		return errors.New("the repository has no such revision: name a branch, a tag or a commit behind @")
	case code == "GatedRepo":
		return fmt.Errorf("its owner wants conditions accepted: do so on its page at %s, and %s", c.Endpoint, token)
	case r.StatusCode == http.StatusUnauthorized, r.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%s refuses access (%s): there is no such model, or it is private or gated; check the name, or %s", c.Endpoint, r.Status, token)
	case r.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s knows no such model: check the name and HF_ENDPOINT", c.Endpoint)
	case r.StatusCode == http.StatusTooManyRequests, r.StatusCode >= 500:
		return &transient{fmt.Errorf("%s answers %s %s", r.Request.URL.Host, r.Status, message), retryAfter(r.Header)}
	}
	return fmt.Errorf("%s answers %s %s", r.Request.URL.Host, r.Status, message)
}

// shown is the beginning of a server's words, without what could move a terminal's cursor.
func shown(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), maxMessage)], "")
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// transient is an error that may pass.
type transient struct {
	error
	after time.Duration // to wait at least
}

func (t *transient) Unwrap() error { return t.error }

func again(err error) error { return &transient{err, 0} }

const maxRetryAfter = 2 * time.Minute

// retryAfter is how long the server asks to wait.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxRetryAfter)
}

// repeat tries until it succeeds, fails for good, or has failed too often.
func repeat[T any](ctx context.Context, c *client, what string, try func(context.Context) (T, error)) (T, error) {
	wait := c.wait
	for failures := 1; ; failures++ {
		x, err := try(ctx)
		if err == nil {
			return x, nil
		}
		passing, ok := errors.AsType[*transient](err)
		switch {
		case ctx.Err() != nil:
			return x, context.Cause(ctx)
		case !ok:
			return x, fmt.Errorf("%s: %w", what, err)
		case failures > c.repeats:
			return x, fmt.Errorf("%s: %w; given up after %d attempts: check the network and start again, what has come stays", what, err, failures)
		}
		c.log("%s: %v; trying again", what, err)
		if err := sleep(ctx, max(wait, passing.after)); err != nil {
			return x, err
		}
		wait *= 2
	}
}

// sleep waits, unless ctx is done before.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
