package pgexec

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The object ids of the built-in types whose values are not their text
// (src/include/catalog/pg_type.dat, fixed for all servers).
const (
	oidBool, oidBytea                           = 16, 17
	oidInt8, oidInt2, oidInt4, oidOID           = 20, 21, 23, 26
	oidFloat4, oidFloat8, oidMoney, oidNumeric  = 700, 701, 790, 1700
	oidBPChar                                   = 1042
	oidTimestamp, oidTimestampTZ, oidInterval   = 1114, 1184, 1186
	oidBoolArray, oidInt2Array, oidInt4Array    = 1000, 1005, 1007
	oidInt8Array, oidFloat4Array, oidFloat8Arr  = 1016, 1021, 1022
	oidTimestampArray, oidTimestampTZArray      = 1115, 1185
	oidIntervalArray, oidNumericArray, oidOIDAr = 1187, 1231, 1028
	oidBPCharArray                              = 1014
)

// elements are the types of the elements of arrays.
var elements = map[uint32]uint32{
	oidBoolArray: oidBool, oidInt2Array: oidInt2, oidInt4Array: oidInt4, oidInt8Array: oidInt8, oidOIDAr: oidOID,
	oidFloat4Array: oidFloat4, oidFloat8Arr: oidFloat8, oidNumericArray: oidNumeric, oidBPCharArray: oidBPChar,
	oidTimestampArray: oidTimestamp, oidTimestampTZArray: oidTimestampTZ, oidIntervalArray: oidInterval,
}

// cell makes a value of the text that the server sends for a type, such that
// two cells are the same when PostgreSQL's = says so of the values, in a
// session whose time zone is UTC:
//
//   - integers, and numerics without a fraction that fit, are int64; other
//     numerics, floats and money are float64;
//   - booleans are bool, bytea is []byte;
//   - dates and times are text as ISO 8601 has them; a timestamp at midnight
//     is its date, and one with a time zone is written in UTC without it;
//   - hours beyond 24 of an interval are days;
//   - char(n) loses the blanks that fill it up;
//   - arrays are text, their elements by these rules;
//   - all else is the server's text. NULL is nil, before it comes here.
func cell(oid uint32, text []byte) (any, error) {
	switch oid {
	case oidBool:
		return len(text) == 1 && text[0] == 't', nil
	case oidInt2, oidInt4, oidInt8, oidOID:
		return strconv.ParseInt(string(text), 10, 64)
	case oidFloat4, oidFloat8:
		return parseFloat(string(text))
	case oidNumeric:
		return numeric(string(text))
	case oidMoney:
		return money(string(text))
	case oidBytea:
		digits, ok := strings.CutPrefix(string(text), `\x`)
		if !ok {
			return nil, fmt.Errorf("bytea is not in hex: %.20q", text)
		}
		return hex.DecodeString(digits)
	case oidBPChar:
		return strings.TrimRight(string(text), " "), nil
	case oidTimestamp, oidTimestampTZ:
		return timestamp(string(text)), nil
	case oidInterval:
		return interval(string(text)), nil
	}
	if element, ok := elements[oid]; ok {
		return array(string(text), element)
	}
	return string(text), nil
}

func parseFloat(s string) (any, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return nil, err
	}
	return f, nil
}

// numeric keeps all digits of whole numbers that fit: sums and ids.
func numeric(s string) (any, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	return parseFloat(s)
}

// money reads what the C locale prints, such as -$1,234.50.
func money(s string) (any, error) {
	return parseFloat(strings.NewReplacer("$", "", ",", "").Replace(s))
}

// timestamp drops UTC's offset and midnight.
func timestamp(s string) string {
	s = strings.Replace(s, "+00", "", 1)
	if date, ok := strings.CutSuffix(s, " 00:00:00"); ok {
		return date
	}
	return strings.Replace(s, " 00:00:00 BC", " BC", 1)
}

// interval moves whole days from the time to the days: "-1 days +36:00:00".
func interval(s string) string {
	rest, clock := "", s
	if i := strings.LastIndexByte(s, ' '); i >= 0 {
		rest, clock = s[:i], s[i+1:]
	}
	hours, after, ok := strings.Cut(clock, ":")
	if !ok {
		return s
	}
	h, err := strconv.Atoi(strings.TrimLeft(hours, "+-"))
	if err != nil || h < 24 {
		return s
	}
	sign := 1
	if strings.HasPrefix(hours, "-") {
		sign = -1
	}
	var before string
	days := sign * (h / 24)
	if fields := strings.Fields(rest); len(fields) >= 2 && strings.HasPrefix(fields[len(fields)-1], "day") {
		n, err := strconv.Atoi(fields[len(fields)-2])
		if err != nil || n != 0 && (n < 0) != (days < 0) {
			return s // of mixed signs
		}
		days += n
		rest = strings.Join(fields[:len(fields)-2], " ")
	}
	if rest != "" {
		before = rest + " "
	}
	unit := "days"
	if days == 1 {
		unit = "day"
	}
	out := fmt.Sprintf("%s%d %s", before, days, unit)
	if clock := fmt.Sprintf("%02d:%s", h%24, after); strings.Trim(clock, "0:") != "" {
		if sign < 0 {
			clock = "-" + clock
		}
		out += " " + clock
	}
	return out
}

// array writes an array's elements anew, by the rules of cell. The text is as
// array_out has it: {1,NULL,"a \"b\"",{…}}, with bounds before it if they do
// not begin at 1.
func array(s string, element uint32) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '{' || c == '}' || c == ',':
			b.WriteByte(c)
			i++
		case c == '[' || c == '=': // bounds, up to the first brace
			n := strings.IndexByte(s[i:], '{')
			if n < 0 {
				n = len(s) - i
			}
			b.WriteString(s[i : i+n])
			i += n
		default:
			text, end, isQuoted := arrayElement(s, i)
			i = end
			if text == "NULL" && !isQuoted {
				b.WriteString(text)
				continue
			}
			v, err := cell(element, []byte(text))
			if err != nil {
				return "", fmt.Errorf("element %q of an array: %w", text, err)
			}
			if f, ok := v.(float64); ok {
				v = strconv.FormatFloat(f, 'g', -1, 64)
			}
			if text, ok := v.(string); ok && strings.ContainsAny(text, `{},"\ `) {
				v = strconv.Quote(text)
			}
			fmt.Fprint(&b, v)
		}
	}
	return b.String(), nil
}

// arrayElement returns the element that begins at i, without quotes, and where it ends.
func arrayElement(s string, i int) (text string, end int, isQuoted bool) {
	if s[i] != '"' {
		if n := strings.IndexAny(s[i:], ",}"); n >= 0 {
			return s[i : i+n], i + n, false
		}
		return s[i:], len(s), false
	}
	var b strings.Builder
	for i++; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), min(i+1, len(s)), true
}
