package progress

import (
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"
)

const fallbackWidth = 80 // columns, when the terminal does not say

// A terminal is what a Line knows about the place it writes to.
type terminal struct {
	live    bool // the line can be redrawn in place
	ansi    bool // understands "erase to the end of the line"
	colour  bool
	unicode bool // block characters and the like are safe
}

// detect looks at the writer and the environment. NO_COLOR asks for no colour and plain ASCII, and TERM=dumb for no
// cursor movement besides (https://no-color.org).
func detect(w io.Writer, mode Mode, getenv func(string) string) terminal {
	name := getenv("TERM")
	// A Windows console understands escape sequences when it is Windows Terminal or says so by TERM.
	ansi := name != "dumb" && (name != "" || getenv("WT_SESSION") != "")
	t := terminal{live: mode == Live, ansi: ansi}
	if mode == Auto {
		f, ok := w.(*os.File)
		t.live = ok && name != "dumb" && term.IsTerminal(int(f.Fd()))
	}
	plain := getenv("NO_COLOR") != "" || name == "dumb"
	t.colour = t.live && ansi && !plain
	t.unicode = !plain && utf8Locale(getenv)
	return t
}

// utf8Locale reports whether text is UTF-8, by POSIX's order of the locale variables.
// Go writes UTF-16 to a Windows console by itself, and macOS terminals are UTF-8 whatever the locale.
func utf8Locale(getenv func(string) string) bool {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return true
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(getenv(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return true // no locale at all: a container, whose terminal outside is UTF-8 today
}

// widthOf returns the question "how many columns?" for w.
func widthOf(w io.Writer) func() int {
	f, ok := w.(*os.File)
	if !ok {
		return func() int { return fallbackWidth }
	}
	return func() int {
		width, _, err := term.GetSize(int(f.Fd()))
		if err != nil || width <= 0 {
			return fallbackWidth
		}
		return width
	}
}
