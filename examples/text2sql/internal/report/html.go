package report

import (
	"bytes"
	_ "embed"
	"html/template"
	"io"
	"strings"
)

//go:embed report.html.tmpl
var pageSource string

//go:embed report.css
var styleSheet string

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"lines": func(s string) int { return strings.Count(s, "\n") + 1 },
}).Parse(pageSource))

// WriteHTML writes the report as one page that needs nothing else: no network, no script, no font. Text of the run is
// data wherever it stands, and the page itself forbids scripts besides. Nothing is written unless the whole page is.
func WriteHTML(w io.Writer, r *Run) error {
	p := newPage(r)
	p.CSS = template.CSS(styleSheet)
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}
