package demodata

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Names of people and titles of works in the schemas that have rows.
var (
	firstNames = strings.Fields(`Anna Ben Clara David Emma Felix Greta Hugo Iris Jonas Karl Lena Mara Nils Olga Paul Rosa
		Sven Tina Viktor Amir Bella Carlo Dana Elias Fatma Goran Hana Ivan Julia Kofi Laila Marco Nadia Omar Petra Rafael
		Sofia Tomas Yuki`)
	lastNames = strings.Fields(`Berg Costa Diaz Ekman Frank Gomez Holm Ito Jensen Klein Lopez Moore Novak Olsen Petrov
		Quinn Rossi Silva Torres Weber Adler Blanc Conti Duval Evans Fischer Garcia Haas Ivanov Jansen Kovacs Lund Meyer
		Nagy Okafor Park Ricci Sato Tanaka Wolf`)
	titleAdjectives = strings.Fields(`Silent Golden Broken Hidden Lost Bright Frozen Wild Ancient Secret Royal Blue Grand
		Lucky Iron Quiet Silver Distant Green Velvet Early Rapid Gentle Proud Crimson`)
	titleNouns = strings.Fields(`River Mountain Mirror Storm Harbor Forest Castle Ocean Bridge Shadow Crown Valley Tower
		Island Lantern Meadow Comet Garden Falcon Anchor Summit Orchard Canyon Beacon Compass`)
)

// cell returns a random value for a row of the column.
func (c *Column) cell(rng *rand.Rand) any {
	switch c.Kind {
	case Whole:
		return int64(c.low + rng.IntN(c.high-c.low+1))
	case Real:
		return float64(10*c.low+rng.IntN(10*(c.high-c.low)+1)) / 10
	case Reference:
		// Some parents have many children, the last three have none.
		u := rng.Float64()
		return int64(1 + int(float64(len(c.parent.Rows)-3)*u*u))
	}
	return c.word(rng)
}

// word returns a random value of a column of text.
func (c *Column) word(rng *rand.Rand) string {
	if c.invent != nil && rng.IntN(3) > 0 {
		return c.invent()
	}
	switch c.Kind {
	case Category:
		return pick(rng, c.values)
	case Person:
		return pick(rng, firstNames) + " " + pick(rng, lastNames)
	case Date:
		return fmt.Sprintf("%d-%02d-%02d", 2000+rng.IntN(25), 1+rng.IntN(12), 1+rng.IntN(28))
	}
	return pick(rng, titleAdjectives) + " " + pick(rng, titleNouns)
}

// number returns a number to compare the column with, round when it is large.
func (c *Column) number(rng *rand.Rand) int {
	v := c.low + rng.IntN(c.high-c.low+1)
	switch {
	case v > 2100:
		return v / 100 * 100
	case v > 200 && (v < 1500 || v > 2030): // but for years
		return v / 10 * 10
	}
	return v
}

// kept reports whether a literal is one of the quarter that training never
// sees, so that what is asked afterwards can be new. Single digits are not.
func kept(literal string) bool { return len(literal) > 1 && hash("literal "+literal)%4 == 0 }

// A literals draws the values that questions compare with: for training, ones
// that are not kept; for the questions asked afterwards, kept ones if it can.
type literals struct {
	rng  *rand.Rand
	kept bool
}

// draw tries until the literal is on the right side. Where there is none, as
// with a column of few values, training takes what a kept flag would forbid.
func (l literals) draw(from func() string) string {
	v := from()
	for range 30 {
		if kept(v) == l.kept {
			break
		}
		v = from()
	}
	return v
}

// text draws a value for a comparison with a column of text: one that is in
// the table, if the table has rows.
func (l literals) text(t *Table, c *Column) string {
	return l.draw(func() string {
		if len(t.Rows) > 0 && c.Kind != Date {
			return t.Rows[l.rng.IntN(len(t.Rows))][c.at+1].(string)
		}
		return c.word(l.rng)
	})
}

func (l literals) number(c *Column) string {
	return l.draw(func() string { return strconv.Itoa(c.number(l.rng)) })
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }
