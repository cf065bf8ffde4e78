// Package chatapi asks models behind an OpenAI-compatible endpoint, the way
// https://platform.openai.com/docs/api-reference/chat/create describes it and
// servers such as vLLM, llama.cpp and Ollama offer it.
package chatapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A Client asks one model.
type Client struct {
	URL         string   // up to and with /v1
	Model       string   // its name at the endpoint
	Key         string   // sent as a bearer token, if there is one
	Temperature *float64 // nil leaves it to the endpoint
	MaxTokens   int      // of an answer, 0 leaves it to the endpoint

	Retries int           // of requests that may succeed later
	Wait    time.Duration // before the first retry; it doubles, up to a minute
	Timeout time.Duration // of one request

	Retrying func(err error, in time.Duration) // hears of each failure that is tried again; nil for nobody. It may be called by several goroutines

	HTTP *http.Client // nil means http.DefaultClient
}

// A Message is a turn of a conversation.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// An Answer is what the model said, and what it took.
type Answer struct {
	Text             string
	Finish           string // why it ended: "stop", "length", "content_filter", …
	PromptTokens     int
	CompletionTokens int
}

// maxReply bounds what an endpoint may send.
const maxReply = 16 << 20

// A StatusError is an answer of the endpoint other than 200.
type StatusError struct {
	Status  int
	Message string        // in the endpoint's words
	after   time.Duration // to wait, by Retry-After
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("HTTP %d: %s", e.Status, e.Message)
}

// temporary reports whether the request may succeed later.
func (e *StatusError) temporary() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return !strings.Contains(e.Message, "insufficient_quota") // no waiting fills it up
	}
	return e.Status >= 500 && e.Status != http.StatusNotImplemented
}

// Check finds a URL that is none, and a key that would travel in the open.
func (c *Client) Check() error {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("-url is %q, want one such as https://api.openai.com/v1", c.URL)
	case u.User != nil:
		return errors.New("-url holds a password; keys come from the environment")
	case c.Key != "" && u.Scheme == "http" && !local(u.Hostname()):
		return fmt.Errorf("-url %s is not https: the key would travel in the open", c.URL)
	}
	return nil
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsPrivate())
}

// Ask sends a conversation and returns the model's answer. Errors of the
// network, 429 and 5xx are tried again, after the time that Retry-After asks
// for or a growing one of our own.
func (c *Client) Ask(ctx context.Context, messages []Message) (*Answer, error) {
	body, err := json.Marshal(struct {
		Model       string    `json:"model"`
		Messages    []Message `json:"messages"`
		Temperature *float64  `json:"temperature,omitempty"`
		MaxTokens   int       `json:"max_tokens,omitempty"`
	}{c.Model, messages, c.Temperature, c.MaxTokens})
	if err != nil {
		return nil, err
	}
	wait := c.Wait
	for try := 0; ; try++ {
		a, err := c.once(ctx, body)
		if err == nil {
			return a, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var status *StatusError
		if errors.As(err, &status) && !status.temporary() {
			return nil, err
		}
		if try == c.Retries {
			return nil, fmt.Errorf("after %d tries: %w", try+1, err)
		}
		pause := wait/2 + rand.N(wait/2+1) // spread, so that many clients do not come back together
		if status != nil && status.after > 0 {
			pause = status.after
		}
		wait = min(2*wait, time.Minute)
		if c.Retrying != nil {
			c.Retrying(err, pause)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// once sends one request.
func (c *Client) once(ctx context.Context, body []byte) (*Answer, error) {
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(c.URL, "/")+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.Key != "" {
		req.Header.Set("Authorization", "Bearer "+c.Key)
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &StatusError{resp.StatusCode, complaint(raw), retryAfter(resp.Header.Get("Retry-After"))}
	}
	var reply struct {
		Choices []struct {
			Message struct {
				Content string `json:"content"`
			} `json:"message"`
			FinishReason string `json:"finish_reason"`
		} `json:"choices"`
		Usage struct {
			PromptTokens     int `json:"prompt_tokens"`
			CompletionTokens int `json:"completion_tokens"`
		} `json:"usage"`
	}
	if err := json.Unmarshal(raw, &reply); err != nil || len(reply.Choices) == 0 {
		return nil, fmt.Errorf("the endpoint's reply is no chat completion: %.200q", raw)
	}
	first := reply.Choices[0]
	return &Answer{first.Message.Content, first.FinishReason, reply.Usage.PromptTokens, reply.Usage.CompletionTokens}, nil
}

// complaint is the message of an error's body.
func complaint(raw []byte) string {
	var reply struct {
		Error struct {
			Message string `json:"message"`
			Code    any    `json:"code"`
		} `json:"error"`
	}
	if err := json.Unmarshal(raw, &reply); err != nil || reply.Error.Message == "" {
		return fmt.Sprintf("%.200q", raw)
	}
	if reply.Error.Code != nil {
		return fmt.Sprintf("%s (%v)", reply.Error.Message, reply.Error.Code)
	}
	return reply.Error.Message
}

// retryAfter reads the header's seconds or date, at most ten minutes.
func retryAfter(value string) time.Duration {
	if value == "" {
		return 0
	}
	pause := 0 * time.Second
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		pause = time.Duration(seconds * float64(time.Second))
	} else if at, err := http.ParseTime(value); err == nil {
		pause = time.Until(at)
	}
	return min(max(0, pause), 10*time.Minute)
}
