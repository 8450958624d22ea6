package pages_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// face draws a face of its own for each seed: 192 by 192 pixels, PNG.
func face(t *testing.T, seed uint64) []byte {
	t.Helper()
	const size = 192
	random := rand.New(rand.NewPCG(seed, 7))
	hue := float64(seed) * 0.618033988749895
	top, bottom := shade(hue, 0.55, 0.95), shade(hue+0.12, 0.7, 0.75)
	skin := []color.RGBA{
		{255, 219, 194, 255}, {233, 185, 149, 255}, {190, 132, 96, 255}, {125, 82, 59, 255}, {246, 202, 167, 255},
	}[random.IntN(5)]
	hair := []color.RGBA{
		{43, 30, 25, 255}, {92, 56, 32, 255}, {190, 142, 70, 255}, {70, 70, 82, 255}, {140, 52, 34, 255},
	}[random.IntN(5)]
	shirt := shade(hue+0.5, 0.6, 0.65)
	ink := color.RGBA{38, 30, 34, 255}
	longHair, glasses, fringe := seed%2 == 1, random.IntN(3) == 0, -0.30+0.12*random.Float64()

	picture := image.NewRGBA(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			// From -1 to 1; coverage is one pixel wide at an edge.
			u, v := 2*(float64(x)+0.5)/size-1, 2*(float64(y)+0.5)/size-1
			inside := func(distance float64) float64 { return math.Max(0, math.Min(1, 0.5-distance*size/2)) }
			oval := func(cx, cy, rx, ry float64) float64 {
				return (math.Hypot((u-cx)/rx, (v-cy)/ry) - 1) * math.Min(rx, ry)
			}
			c := mix(top, bottom, (v+1)/2)
			if longHair {
				c = mix(c, hair, inside(math.Max(oval(0, 0.05, 0.56, 0.75), v-0.62)))
			}
			c = mix(c, shirt, inside(oval(0, 1.12, 0.78, 0.56)))
			c = mix(c, skin, inside(math.Max(math.Abs(u)-0.15, math.Abs(v-0.55)-0.22)))
			c = mix(c, hair, inside(oval(0, -0.14, 0.48, 0.53)))
			c = mix(c, skin, inside(math.Max(oval(0, 0.02, 0.42, 0.52), fringe-v+0.1*math.Sin(4*u+float64(seed)))))
			for _, side := range []float64{-1, 1} {
				c = mix(c, ink, inside(oval(side*0.17, 0, 0.045, 0.055)))
				if glasses {
					c = mix(c, ink, inside(math.Abs(oval(side*0.17, 0.01, 0.14, 0.13))-0.014))
				}
			}
			smile := math.Max(math.Abs(math.Hypot(u, v-0.13)-0.17)-0.018, 0.20-v)
			c = mix(c, ink, inside(smile))
			picture.SetRGBA(x, y, c)
		}
	}
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, picture))
	return b.Bytes()
}

func mix(a, b color.RGBA, share float64) color.RGBA {
	at := func(x, y uint8) uint8 { return uint8(math.Round(float64(x) + share*(float64(y)-float64(x)))) }
	return color.RGBA{at(a.R, b.R), at(a.G, b.G), at(a.B, b.B), 255}
}

// shade returns a colour; all are from 0 to 1, and the hue goes round.
func shade(hue, saturation, value float64) color.RGBA {
	at := func(n float64) uint8 {
		k := math.Mod(n+6*(hue-math.Floor(hue)), 6)
		return uint8(255 * value * (1 - saturation*math.Max(0, math.Min(1, math.Min(k, 4-k)))))
	}
	return color.RGBA{at(5), at(3), at(1), 255}
}

// noise is a PNG that does not compress: of about 3 × side² bytes.
func noise(t *testing.T, side int) []byte {
	t.Helper()
	random := rand.NewChaCha8([32]byte{1})
	picture := image.NewNRGBA(image.Rect(0, 0, side, side))
	_, _ = random.Read(picture.Pix)
	for i := 3; i < len(picture.Pix); i += 4 {
		picture.Pix[i] = 255
	}
	var b bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.NoCompression}).Encode(&b, picture))
	return b.Bytes()
}
