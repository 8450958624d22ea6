package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// usersPerPage is how many users a response to Scan has at most: their JSON is about 1 MB.
const usersPerPage = 3000

// A backend responds to DynamoDB and S3 requests. It prepares every response to Scan at its start.
type backend struct {
	*httptest.Server

	delay time.Duration     // before each response to Scan and PutItem
	pages map[string][]byte // by the id in ExclusiveStartKey, which the first page does not have
	calls atomic.Int64      // of Scan and PutItem
}

// startBackend starts a backend with a table of users. The caller closes it.
func startBackend(users int, delay time.Duration) *backend {
	b := &backend{delay: delay, pages: map[string][]byte{}}
	start := ""
	for first := 0; first < users; first += usersPerPage {
		last := min(first+usersPerPage, users)
		b.pages[start] = page(first, last, users)
		start = userNumber(last - 1).ID
	}
	b.Server = httptest.NewServer(b)
	return b
}

// ServeHTTP implements [http.Handler].
func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	response := []byte("{}")
	switch strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_20120810.") {
	case "": // HeadBucket
		return
	case "DescribeTable":
		response = []byte(`{"Table":{"TableStatus":"ACTIVE"}}`)
	case "PutItem":
		b.calls.Add(1)
		time.Sleep(b.delay)
	case "Scan":
		var in struct{ ExclusiveStartKey map[string]map[string]string }
		err = errors.Join(err, json.Unmarshal(body, &in))
		response = b.pages[in.ExclusiveStartKey["id"]["S"]]
		b.calls.Add(1)
		time.Sleep(b.delay)
	default:
		response = nil
	}
	if err != nil || response == nil {
		http.Error(w, "the backend does not know this request", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("Content-Length", strconv.Itoa(len(response)))
	w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(response)), 10))
	_, _ = w.Write(response) // the load fails if the server has gone
}

// page returns the response to a Scan that finds the users from first to before last, of total.
func page(first, last, total int) []byte {
	type attribute struct{ S string }
	type item map[string]attribute
	var out struct {
		Count, ScannedCount int
		Items               []item
		LastEvaluatedKey    item `json:",omitempty"`
	}
	for i := first; i < last; i++ {
		u := userNumber(i)
		_, avatarID, _ := strings.Cut(u.AvatarURL, "?v=")
		out.Items = append(out.Items, item{"id": {u.ID}, "name": {u.Name}, "email": {u.Email}, "avatar_id": {avatarID}})
	}
	out.Count, out.ScannedCount = last-first, last-first
	if last < total {
		out.LastEvaluatedKey = item{"id": {userNumber(last - 1).ID}}
	}
	encoded, _ := json.Marshal(out) // strings and numbers are no error
	return encoded
}

// A user is one as every side lists it.
type user struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Email     string `json:"email"`
	AvatarURL string `json:"avatar_url"`
}

// host is the Host of every request, so that the links in all responses have the same length.
const host = "prima.example"

// userNumber returns the user i, whose item has about 260 bytes. Some names are not ASCII, and some
// have characters that JSON escapes.
func userNumber(i int) user {
	names := [...]string{"Grace Hopper", "Émilie Châtelet", `Mary "Jackson"`}
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
	return user{
		ID: id, Email: fmt.Sprintf("user%d@example.com", i),
		Name:      strings.Repeat(names[i%len(names)]+" ", 10) + strconv.Itoa(i),
		AvatarURL: fmt.Sprintf("http://%s/users/%s/avatar?v=10000000-0000-4000-8000-%012d", host, id, i),
	}
}
