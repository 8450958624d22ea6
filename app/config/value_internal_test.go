package config

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Ensure a pattern of numbers matches those from the least to the most, with zeros before them too, and no other.
func TestNumbers(t *testing.T) {
	t.Parallel()
	t.Run("small", func(t *testing.T) {
		t.Parallel()
		for _, bounds := range [][2]int64{{0, 0}, {0, 9}, {0, 10}, {1, 64}, {7, 7}, {9, 10}, {16, 1024}, {99, 101}, {100, 999}, {109, 1190}, {190, 191}, {999, 1000}, {1023, 1024}} {
			pattern := regexp.MustCompile("^" + numbers(bounds[0], bounds[1]) + "$")
			for n := range int64(2000) {
				inside := n >= bounds[0] && n <= bounds[1]
				for _, format := range []string{"%d", "00%d"} {
					require.Equal(t, inside, pattern.MatchString(fmt.Sprintf(format, n)), "%s, %v, "+format, pattern, bounds, n)
				}
			}
			for _, no := range []string{"", "-1", "+1", "1.0", " 1", "1 ", "1e2", "0x1"} {
				assert.False(t, pattern.MatchString(no), "%s, %q", pattern, no)
			}
		}
	})
	t.Run("some", func(t *testing.T) {
		t.Parallel()
		random := rand.New(rand.NewPCG(1, 2))
		some := func() int64 { return random.Int64() >> random.IntN(63) }
		for range 500 {
			low, high := some(), some()
			if low > high {
				low, high = high, low
			}
			pattern := regexp.MustCompile("^" + numbers(low, high) + "$")
			for _, n := range []int64{low - 1, low, low + 1, low/2 + high/2, high - 1, high, some(), some()} {
				if n >= 0 {
					require.Equal(t, n >= low && n <= high, pattern.MatchString(strconv.FormatInt(n, 10)), "%d: %d to %d, %s", n, low, high, pattern)
				}
			}
		}
	})
}

// Ensure the pattern of a size matches what is read as one, and no other.
func TestSizePattern(t *testing.T) {
	t.Parallel()
	for _, bounds := range [][2]int64{{1 << 10, 64 << 20}, {1 << 20, 16 << 30}, {1500, 3 << 20}, {1 << 10, 2 << 10}} {
		v := size(new(int64), bounds[0], bounds[1])
		pattern := regexp.MustCompile(v.pattern)
		for _, around := range bounds {
			for _, unit := range []struct {
				name  string
				bytes int64
			}{{"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}} {
				for n := max(around/unit.bytes-3, 0); n < around/unit.bytes+4; n++ {
					text := strconv.FormatInt(n, 10) + unit.name
					assert.Equal(t, v.parse(text) == nil, pattern.MatchString(text), "%s: %v, %s", text, bounds, pattern)
				}
			}
		}
	}
}
