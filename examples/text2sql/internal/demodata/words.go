package demodata

import (
	_ "embed"
	"strings"
	"sync"
)

// words.txt holds nouns and, after an empty line, adjectives. Lines that begin
// with # say where they come from.
//
//go:embed words.txt
var wordList string

// vocabulary returns the nouns and adjectives of words.txt.
var vocabulary = sync.OnceValues(func() (nouns, adjectives []string) {
	into := &nouns
	for line := range strings.Lines(wordList) {
		switch line = strings.TrimSpace(line); {
		case line == "":
			into = &adjectives
		case line[0] != '#':
			*into = append(*into, strings.Fields(line)...)
		}
	}
	return nouns, adjectives
})

// Names that databases often have, for the schemas that are made up.
var (
	entityNames = strings.Fields(`agent artist baker bakery bank basket boat branch bridge brand building camera camp canal
		candidate castle chapter chef cinema circuit clinic club coach college company contract cook country crew
		customer dancer dealer desk device dish district document driver edition employee engine engineer event
		exhibit factory family festival firm fleet forest friend garden garage glacier guide helmet house island item
		journal kitchen laboratory lake language lawyer lecture lesson letter library machine magazine mall manager
		market medal member mine mission mountain nurse office officer opera package park partner party pharmacy
		phone photo pilot pipeline planet plant poem policy port post product program project provider ranch recipe region
		report reporter researcher restaurant river road robot route sailor satellite scientist scholar season server
		ship show singer site song speaker sponsor stadium store street supplier survey swimmer teacher tenant
		ticket tool tower town track trader train trainer tree truck university vehicle vessel village visitor volcano voyage
		warehouse winery worker workshop writer`)
	numberNames = strings.Fields(`age amount area balance budget capacity charge cost credit debt depth distance duration
		earnings elevation expense fee floors goals grade height hours income interest length limit losses mass
		members mileage minutes months number pages payment penalty points population power premium pressure price
		profit quantity rank rate rating revenue rooms salary score seats share size speed stars stock strength
		temperature tons units usage value views volume votes wage weeks weight width wins years year`)
	categoryNames = strings.Fields(`brand category city class climate color condition continent country currency degree
		direction faculty field format fuel gender genre grade industry kind language league location
		material method mode mood nationality occupation origin party phase platform position priority
		quality rank region role season sector shape shift side source specialty sport stage state status style subject
		team theme topic town type variety zone`)
	titleNames    = strings.Fields(`name name name title title label headline caption alias motto`)
	personNames   = strings.Fields(`name name author buyer captain chairman contact critic founder guest guide host inspector leader manager owner patient president reader seller sender sponsor supervisor tutor winner`)
	dateNames     = strings.Fields(`arrival birth closing contract delivery departure due end entry event expiry first founding hiring inspection issue launch opening order payment purchase registration renewal report review shipping signing start test visit`)
	namePrefixes  = strings.Fields(`first last total base max annual local home main net final early star unit air gross prior daily weekly monthly yearly average current minimum maximum full public private`)
	numberEndings = strings.Fields(`count size price cost rate fee year level score number amount total length time value limit index`)
	wordEndings   = strings.Fields(`type name code class group kind status color place level role city country style`)
)

// keywords are the words that SQLite or PostgreSQL, or the grammar's own SQL,
// would not take for a name.
var keywords = set(`abort action add after all alter always analyse analyze and any array as asc asymmetric attach
	authorization autoincrement avg before begin between binary both by cascade case cast check collate column
	commit concurrently conflict constraint count create cross current current_date database default deferrable deferred
	delete desc detach distinct do drop each else end escape except exclude exclusive exists explain fail false fetch
	filter following for foreign freeze from full generated glob grant group groups having id if ignore ilike immediate in
	index indexed initially inner insert instead intersect into is isnull join key lateral leading left like limit
	localtime match materialized max min natural no not nothing notnull null nulls of offset on only or order others
	outer over overlaps partition placing plan pragma preceding primary query raise range recursive references regexp
	reindex release rename replace restrict returning right rollback row rows savepoint select session_user set similar some
	sum symmetric table tablesample temp temporary then ties to trailing transaction trigger true unbounded union unique
	update user using vacuum values variadic verbose view virtual when where window with within without`)

// reserved are the names that belong to the unseen schemas: of the schemas,
// of all their tables, and of the columns that are not common in databases.
var reserved = sync.OnceValue(func() map[string]bool {
	common := map[string]bool{}
	for _, names := range [][]string{numberNames, categoryNames, titleNames, personNames} {
		for _, name := range names {
			common[name] = true
		}
	}
	for _, s := range SeenSchemas() {
		for _, t := range s.Tables {
			for _, c := range t.own {
				common[c.Name] = true
			}
		}
	}
	out := map[string]bool{}
	for _, s := range UnseenSchemas() {
		out[s.Name] = true
		for _, t := range s.Tables {
			out[t.Name], out[plural(t.Name)] = true, true
			for _, c := range t.own {
				if !common[c.Name] {
					out[c.Name] = true
				}
			}
		}
	}
	return out
})

// usable reports whether training may use a name.
func usable(name string) bool { return !keywords[name] && !reserved()[name] }

func set(words string) map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		out[w] = true
	}
	return out
}

// plural returns the regular plural of an English noun.
func plural(noun string) string {
	switch n := len(noun); {
	case strings.HasSuffix(noun, "y") && n > 1 && !strings.ContainsRune("aeou", rune(noun[n-2])):
		return noun[:n-1] + "ies"
	case strings.HasSuffix(noun, "s"), strings.HasSuffix(noun, "x"), strings.HasSuffix(noun, "z"),
		strings.HasSuffix(noun, "ch"), strings.HasSuffix(noun, "sh"):
		return noun + "es"
	}
	return noun + "s"
}
