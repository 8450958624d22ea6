package localaws

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // S3 has it as a checksum
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// checksum is one of S3's object checksums: its algorithm as in x-amz-checksum-crc32, and its value
// in base64.
type checksum struct{ algorithm, value string }

func (c checksum) header() string {
	return http.CanonicalHeaderKey("X-Amz-Checksum-" + c.algorithm)
}

// newHash returns the hash of an algorithm, nil for one that S3 does not have.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "crc32":
		return crc32.NewIEEE()
	case "crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "crc64nvme":
		return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5))
	case "sha1":
		return sha1.New() //nolint:gosec // as above
	case "sha256":
		return sha256.New()
	}
	return nil
}

func algorithms() []string { return []string{"crc32", "crc32c", "crc64nvme", "sha1", "sha256"} }

func sumOf(algorithm string, data []byte) checksum {
	h := newHash(algorithm)
	_, _ = h.Write(data)
	return checksum{algorithm, base64.StdEncoding.EncodeToString(h.Sum(nil))}
}

func crc32Of(data []byte) checksum {
	return checksum{"crc32", base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(data)))}
}

// checksumOf returns the algorithm of the checksum in a header, empty if there is none.
func checksumOf(h http.Header) string {
	for _, algorithm := range algorithms() {
		if h.Get("X-Amz-Checksum-"+algorithm) != "" {
			return algorithm
		}
	}
	return ""
}

func hasChecksum(meta map[string]string) bool {
	for _, algorithm := range algorithms() {
		if meta[checksum{algorithm: algorithm}.header()] != "" {
			return true
		}
	}
	return false
}

// verify makes sure that an upload is what its header says, and returns the checksum to store: the
// one that was sent, or a CRC32.
func verify(r *http.Request, data []byte) (checksum, error) {
	if want := r.Header.Get("X-Amz-Content-Sha256"); len(want) == hex.EncodedLen(sha256.Size) {
		if got := sha256.Sum256(data); want != hex.EncodeToString(got[:]) {
			return checksum{}, newS3Error(http.StatusBadRequest, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
		}
	}
	algorithm := checksumOf(r.Header)
	if algorithm == "" {
		return crc32Of(data), nil
	}
	want, got := r.Header.Get("X-Amz-Checksum-"+algorithm), sumOf(algorithm, data)
	if raw, err := base64.StdEncoding.DecodeString(want); err != nil || len(raw) != newHash(algorithm).Size() {
		return checksum{}, newS3Error(http.StatusBadRequest, "InvalidRequest", "Value for x-amz-checksum-%s header is invalid.", algorithm)
	}
	if want != got.value {
		return checksum{}, newS3Error(http.StatusBadRequest, "BadDigest", "The %s you specified did not match the calculated checksum.", strings.ToUpper(algorithm))
	}
	return got, nil
}

// readUpload returns the content of an upload without the framing of aws-chunked, which gofakes3
// knows in one form only (STREAMING-AWS4-HMAC-SHA256-PAYLOAD) and stores as content in the others.
// The checksum of a trailer is added to the header of the request.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
func readUpload(r *http.Request) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r.Body, maxObject+1))
	if err != nil {
		return nil, newS3Error(http.StatusBadRequest, "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header")
	}
	if len(data) > maxObject {
		return nil, newS3Error(http.StatusBadRequest, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.")
	}
	encodings := strings.Split(strings.ReplaceAll(r.Header.Get("Content-Encoding"), " ", ""), ",")
	streaming := strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-")
	if !streaming && encodings[0] != "aws-chunked" {
		return data, nil
	}
	content, trailer, ok := unchunk(data)
	length, err := strconv.Atoi(r.Header.Get("X-Amz-Decoded-Content-Length"))
	if !ok || err != nil || length != len(content) {
		return nil, newS3Error(http.StatusBadRequest, "IncompleteBody", "The request body terminated unexpectedly")
	}
	if encodings[0] == "aws-chunked" {
		if encodings = encodings[1:]; len(encodings) == 0 {
			r.Header.Del("Content-Encoding")
		} else {
			r.Header.Set("Content-Encoding", strings.Join(encodings, ","))
		}
	}
	for _, name := range r.Header.Values("X-Amz-Trailer") {
		v := trailer.Get(name)
		if v == "" {
			return nil, newS3Error(http.StatusBadRequest, "MalformedTrailerError", "The request contained trailing data that was not well-formed or did not conform to our published schema.")
		}
		r.Header.Set(name, v)
	}
	return content, nil
}

// unchunk takes the chunks of an aws-chunked body together. Signatures of chunks are not checked.
func unchunk(body []byte) (content []byte, trailer http.Header, ok bool) {
	for {
		line, rest, found := bytes.Cut(body, []byte("\r\n"))
		if !found {
			return nil, nil, false
		}
		size, _, _ := strings.Cut(string(line), ";")
		n, err := strconv.ParseUint(size, 16, 32)
		if err != nil {
			return nil, nil, false
		}
		if n == 0 {
			h, err := textproto.NewReader(bufio.NewReader(io.MultiReader(bytes.NewReader(rest), strings.NewReader("\r\n")))).ReadMIMEHeader()
			return content, http.Header(h), err == nil || errors.Is(err, io.EOF)
		}
		if uint64(len(rest)) < n+2 || string(rest[n:n+2]) != "\r\n" {
			return nil, nil, false
		}
		content, body = append(content, rest[:n]...), rest[n+2:]
	}
}
