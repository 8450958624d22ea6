package api_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"prima.internal/app/config"
	"prima.internal/app/user"
)

// A table is a store of many users, whose pages are full and cost nothing.
type table struct {
	user.Store
	users  []user.User
	page   int                          // users on one
	sparse bool                         // an empty page comes before each
	before func(q user.PageQuery) error // called before each page is read; may be nil
	reads  atomic.Int64
}

func newTable(users, page int) *table {
	s := &table{users: make([]user.User, users), page: page}
	name := strings.Repeat("n", 150)
	for i := range s.users {
		s.users[i] = user.User{ID: fmt.Sprintf("%08d", i), Name: name, Email: "ada@example.com", AvatarID: "image"}
	}
	return s
}

// serve serves the table, with so much memory for all requests at once.
func (s *table) serve(t *testing.T, memory int64) *server {
	t.Helper()
	c := config.Default()
	c.RequestMemory, c.RequestTimeout, c.ReadTimeout = memory, time.Second, time.Minute
	return serve(t, c, s, nil, nil)
}

func (s *table) Page(_ context.Context, dst []byte, usersURL string, q user.PageQuery) (user.Page, error) {
	s.reads.Add(1)
	if s.before != nil {
		if err := s.before(q); err != nil {
			return user.Page{}, err
		}
	}
	if s.sparse && !strings.HasSuffix(q.After, "-") {
		return user.Page{JSON: dst, Next: q.After + "-"}, nil
	}
	from, size := 0, s.page
	if q.Limit > 0 {
		size = q.Limit
	}
	if n, _ := fmt.Sscanf(q.After, "%08d", &from); n > 0 {
		from++
	}
	p := user.Page{JSON: dst}
	for ; from < len(s.users) && p.Users < size; from++ {
		if p.Users > 0 {
			p.JSON = append(p.JSON, ',')
		}
		p.JSON = s.users[from].AppendJSON(p.JSON, usersURL)
		p.Users++
	}
	if from < len(s.users) {
		p.Next = s.users[from-1].ID
	}
	return p, nil
}
