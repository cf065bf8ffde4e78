package report

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// browser is a headless Chromium, driven by the DevTools protocol over a pipe: JSON messages, each ended by a
// zero byte (https://chromedevtools.github.io/devtools-protocol, --remote-debugging-pipe).
type browser struct {
	t       *testing.T
	to      *os.File
	from    *bufio.Reader
	session string
	id      int
	said    []string // errors and warnings of the page
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("needs chromium, a package of Debian")
	}
	theirIn, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir(), "about:blank")
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Skip("chromium does not start: ", err)
	}
	theirIn.Close()
	theirOut.Close()
	timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() }) // then reading fails
	b := &browser{t: t, to: to, from: bufio.NewReader(from)}
	t.Cleanup(func() {
		timer.Stop()
		to.Close()
		from.Close()
		cmd.Process.Kill()
		cmd.Wait() // was killed
		if t.Failed() {
			t.Logf("chromium: %s", stderr.String())
		}
	})
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		b.call(domain+".enable", nil, nil)
	}
	return b
}

// message is what comes from the browser.
type message struct {
	ID     int
	Method string
	Params json.RawMessage
	Result json.RawMessage
	Error  *struct{ Message string }
}

// read takes a message, and notes what the page complains about.
func (b *browser) read() message {
	b.t.Helper()
	raw, err := b.from.ReadBytes(0)
	if err != nil {
		b.t.Fatalf("chromium went away: %v", err)
	}
	var m message
	if err := json.Unmarshal(raw[:len(raw)-1], &m); err != nil {
		b.t.Fatal(err)
	}
	switch m.Method {
	case "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded":
		b.said = append(b.said, m.Method+" "+string(m.Params))
	}
	return m
}

// call calls a method and waits for its result.
func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	b.id++
	request := map[string]any{"id": b.id, "method": method}
	if params != nil {
		request["params"] = params
	}
	if b.session != "" {
		request["sessionId"] = b.session
	}
	raw, err := json.Marshal(request)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(raw, 0)); err != nil {
		b.t.Fatal(err)
	}
	for {
		m := b.read()
		if m.ID != b.id {
			continue
		}
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				b.t.Fatal(err)
			}
		}
		return
	}
}

// open shows a page and waits until it is whole.
func (b *browser) open(url string) {
	b.t.Helper()
	b.said = nil
	b.call("Page.navigate", map[string]any{"url": url}, nil)
	for b.read().Method != "Page.loadEventFired" {
		continue
	}
}

// evaluate is the value of an expression in the page.
func (b *browser) evaluate(expression string, value any) {
	b.t.Helper()
	var result struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &result)
	if result.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, result.ExceptionDetails)
	}
	if err := json.Unmarshal(result.Result.Value, value); err != nil {
		b.t.Fatal(err)
	}
}

// screenshot is the whole page as PNG.
func (b *browser) screenshot() []byte {
	b.t.Helper()
	var shot struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &shot)
	raw, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	return raw
}

// overflowing lists the elements that reach beyond the right edge of the page, but for those within an element
// that scrolls.
const overflowing = `(() => {
	const width = document.documentElement.clientWidth, out = [];
	for (const e of document.body.querySelectorAll('*')) {
		const box = e.getBoundingClientRect();
		if (box.right > width + 1 && box.width > 0 && !e.closest('.rows, .schema') && !e.closest('svg'))
			out.push(e.tagName + '.' + e.className + ' ' + Math.round(box.right));
	}
	return [document.documentElement.scrollWidth > width ? ['the page is ' + document.documentElement.scrollWidth + ' wide'] : [], out].flat();
})()`

// HONE_SCREENSHOTS is a folder for the pictures, to be looked at.
func TestAReportIsWholeInABrowserInLightAndDarkAndOnAPhone(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	dir := t.TempDir()
	r := demoRun()
	var page bytes.Buffer
	if err := WriteHTML(&page, r); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, HTMLFile)
	if err := os.WriteFile(path, page.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t)
	shots := os.Getenv("HONE_SCREENSHOTS")
	for _, view := range []struct {
		name, scheme string
		width        int
		mobile       bool
		background   string
	}{
		{"light", "light", 1200, false, "rgb(253, 253, 252)"}, {"dark", "dark", 1200, false, "rgb(20, 24, 27)"},
		{"phone-light", "light", 360, true, "rgb(253, 253, 252)"}, {"phone-dark", "dark", 360, true, "rgb(20, 24, 27)"},
	} {
		t.Run(view.name, func(t *testing.T) {
			b.t = t
			b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": view.width, "height": 800, "deviceScaleFactor": 1, "mobile": view.mobile}, nil)
			b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": view.scheme}}}, nil)
			b.open("file://" + path)
			for _, opened := range []bool{false, true} {
				if opened {
					var n int
					if b.evaluate(`(() => { const all = document.querySelectorAll('details'); all.forEach(d => d.open = true); return all.length })()`, &n); n < 5 {
						t.Errorf("%d folded parts", n)
					}
				}
				var wide []string
				if b.evaluate(overflowing, &wide); len(wide) > 0 {
					t.Errorf("with folded parts opened: %t, these reach beyond the edge: %q", opened, wide)
				}
				raw := b.screenshot()
				picture, err := png.Decode(bytes.NewReader(raw))
				if err != nil {
					t.Fatal(err)
				}
				if size := picture.Bounds().Size(); size.X != view.width || size.Y < 2000 {
					t.Errorf("a picture of %v", size)
				}
				if shots != "" {
					if err := os.WriteFile(filepath.Join(shots, fmt.Sprintf("report-%s-%t.png", view.name, opened)), raw, 0o666); err != nil {
						t.Fatal(err)
					}
				}
			}
			var background, text string
			b.evaluate(`getComputedStyle(document.body).backgroundColor`, &background)
			if background != view.background {
				t.Errorf("the background is %s, want %s", background, view.background)
			}
			b.evaluate(`document.body.innerText`, &text)
			for _, want := range []string{"Execution accuracy", "By difficulty of the gold query", "extra hard", "Answered wrong", "no such column", "240 rows, the first 5 shown", "NULL", "3, of them 2 for gradients far too large"} {
				if !strings.Contains(text, want) {
					t.Errorf("the page does not show %q", want)
				}
			}
			if len(b.said) > 0 {
				t.Errorf("the console says %q", b.said)
			}
		})
	}
	b.t = t
}
