package jsonscan_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/jsonscan"
)

var documents = []string{
	`null`, `true`, `false`, ` "x" `, `0`, `-0`, `10`, `1.5`, `1e9`, `1E+9`, `-1.25e-3`, `[]`, `{}`, `[1,"a",[null]]`, `{"a":{"b":[]},"a":1}`, "\t\r\n {\"a\" : [ 1 , 2 ] } ",
	`"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE80"`, `"日本é👩"`, "\"\xff\"", `"` + strings.Repeat("long ", 100) + `"`, strings.Repeat("[", jsonscan.MaxDepth) + strings.Repeat("]", jsonscan.MaxDepth),
	``, ` `, `nul`, `nulll`, `True`, `tru`, `"`, `"\`, `"\x"`, `"\u12"`, `"\u123g"`, "\"\n\"", "\"\x00\"", `01`, `-`, `+1`, `.5`, `1.`, `1e`, `1e+`, `--1`, `0x1`, `[`, `]`, `[1`, `[1,`, `[1,]`, `[,1]`, `[1 2]`,
	`{`, `}`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,"a":1}`, `{a:1}`, `{"a" 1}`, `{"a":1 "b":2}`, `{1:1}`, `[}`, `{]`, `1 2`, `{}{}`, `{} x`,
	strings.Repeat("[", jsonscan.MaxDepth+1) + strings.Repeat("]", jsonscan.MaxDepth+1), strings.Repeat(`{"a":`, 1_000_000),
}

// Ensure what is JSON to encoding/json, and nothing else, is to the scanner.
func FuzzScanner(f *testing.F) {
	for _, document := range documents {
		f.Add([]byte(document))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		s := jsonscan.New(document)
		s.Skip()
		s.End()
		require.Equal(t, json.Valid(document), !s.Failed(), "%.100q", document)
	})
}

// Ensure a string is what encoding/json takes it for.
func FuzzText(f *testing.F) {
	for _, document := range documents {
		f.Add([]byte(document))
	}
	f.Add([]byte(`"\ud83d"`))
	f.Add([]byte(`"\ud83d\u0041\ude80\ud83d\ud83d\ude80"`))
	f.Fuzz(func(t *testing.T, document []byte) {
		s := jsonscan.New(document)
		text := s.Text()
		s.End()
		var want *string
		if json.Unmarshal(document, &want) != nil || want == nil {
			require.True(t, s.Failed(), "%q", document)
			return
		}
		require.False(t, s.Failed(), "%q", document)
		if !text.Escaped { // where bytes that are no UTF-8 are passed on
			*want = string(text.Raw)
		}
		assert.Equal(t, *want, text.String())
		assert.Equal(t, !isASCII(text.Raw), text.Foreign)
	})
}

func isASCII(text []byte) bool {
	for _, c := range text {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
