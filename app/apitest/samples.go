package apitest

import (
	"bytes"
	"embed"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// The size of the image in every [Sample], in pixels.
const (
	SampleWidth  = 16
	SampleHeight = 12
)

// Metadata has texts that the samples with metadata contain, and that no avatar may contain.
var Metadata = []string{
	"PLANTED", "GPS", "\x88\x25\x00\x04", "\x25\x88\x04\x00", "XMP", "adobe.com/xap", "MPF", "jumb", "Photoshop",
	"tEXt", "zTXt", "iTXt", "tIME", "Software",
}

// A Sample is a valid image file as some encoder makes it: libjpeg-turbo, ImageMagick, libwebp, gifsicle, apngasm or
// imagecodecs. Its metadata is from exiftool.
type Sample struct {
	Name        string // what is special about it
	ContentType string
	Data        []byte
	Metadata    bool // whether it has metadata, or bytes behind its end
	Trailing    bool // whether it has bytes behind its end
	Orientation int  // that its metadata tells, 2 to 8; 0 if the image is upright
}

//go:embed testdata/images
var samples embed.FS

var orientationName = regexp.MustCompile(`orientation-(\d)`)

// Samples returns a file of each variant of the accepted formats.
func Samples() []Sample {
	const folder = "testdata/images"
	entries, err := samples.ReadDir(folder)
	if err != nil {
		panic(err) // it is embedded
	}
	var all []Sample
	for _, entry := range entries {
		data, err := samples.ReadFile(path.Join(folder, entry.Name()))
		if err != nil {
			panic(err)
		}
		format, _, _ := strings.Cut(entry.Name(), "-")
		sample := Sample{Name: entry.Name(), ContentType: "image/" + format, Data: data}
		sample.Metadata = strings.Contains(sample.Name, "metadata")
		sample.Trailing = strings.Contains(sample.Name, "trailing")
		if match := orientationName.FindStringSubmatch(sample.Name); match != nil {
			sample.Orientation, _ = strconv.Atoi(match[1])
		}
		all = append(all, sample)
	}
	return all
}

// Orientation returns the value of the first entry of EXIF data in an image that has the tag of
// an orientation, and 0 if there is none.
func Orientation(image []byte) int {
	for _, entry := range []string{"\x01\x12\x00\x03\x00\x00\x00\x01\x00", "\x12\x01\x03\x00\x01\x00\x00\x00"} {
		if at := bytes.Index(image, []byte(entry)); at >= 0 && at+len(entry) < len(image) {
			return int(image[at+len(entry)])
		}
	}
	return 0
}
