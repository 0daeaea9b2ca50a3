package slip39

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed wordlist.txt
var wordText string

// list holds the 1024 words, sorted; no two begin with the same four letters.
var list = strings.Fields(wordText)

// longest bounds a word that is shown in an error: what is no word of anybody's is not repeated.
const longest = 12

// lookup finds the words in the list. Capitals count as small letters.
func lookup(text string) ([]uint16, error) {
	typed := strings.Fields(text)
	if len(typed) < minWords || len(typed) > maxWords {
		return nil, fmt.Errorf("%d words: a share of 128 bits has %d, one of 256 bits 33, and none more than %d", len(typed), minWords, maxWords)
	}
	words := make([]uint16, len(typed))
	for i, w := range typed {
		at, ok := slices.BinarySearch(list, lower(w))
		if !ok {
			return nil, unknown(i+1, lower(w))
		}
		words[i] = uint16(at)
	}
	return words, nil
}

// lower is ASCII's: there is one way only to write a word.
func lower(w string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, w)
}

// unknown says which word is not in the list, and which one it may be. It shows that word alone, and nothing that does not look like
// one: people paste keys and passphrases in wrong places.
func unknown(at int, w string) error {
	if len(w) > longest || strings.Trim(w, "abcdefghijklmnopqrstuvwxyz") != "" {
		return fmt.Errorf("word %d is not in the list: words are English, of 4 to 8 letters, without numbers or signs", at)
	}
	if near := nearest(w); near != "" {
		return fmt.Errorf("word %d %q is not in the list; did you mean %q?", at, w, near)
	}
	return fmt.Errorf("word %d %q is not in the list, and no single word there is like it: compare it with the sheet", at, w)
}

// nearest is the word with the same first four letters, else the only one that is nearest with at most two letters wrong, missing or too many.
func nearest(w string) string {
	best, found := 3, ""
	for _, word := range list {
		if len(w) >= 4 && w[:4] == word[:4] {
			return word
		}
		switch d := distance(w, word); {
		case d < best:
			best, found = d, word
		case d == best:
			found = "" // either could be meant
		}
	}
	return found
}

// distance counts letters to replace, insert, remove, or exchange with the next.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range b {
		rows[0][j+1] = j + 1
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
