package api_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"prima.internal/app/user"
)

// A table is a store of many users, whose pages are full and cost nothing.
type table struct {
	user.Store
	users []user.User
	page  int // users on one
	reads atomic.Int64

	mu     sync.Mutex
	before func(q user.PageQuery) error // called before each page is read; may be nil
}

func newTable(users, page int) *table {
	s := &table{users: make([]user.User, users), page: page}
	name := strings.Repeat("n", 150)
	for i := range s.users {
		s.users[i] = user.User{ID: fmt.Sprintf("%08d", i), Name: name, Email: "ada@example.com"}
	}
	return s
}

// setBefore sets before while the table is read.
func (s *table) setBefore(before func(q user.PageQuery) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

func (s *table) Page(_ context.Context, dst []byte, usersURL string, q user.PageQuery) (user.Page, error) {
	s.reads.Add(1)
	s.mu.Lock()
	before := s.before
	s.mu.Unlock()
	if before != nil {
		if err := before(q); err != nil {
			return user.Page{}, err
		}
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

// sparse is a store in which every second page is empty.
type sparse struct{ user.Store }

func (sparse) Page(_ context.Context, dst []byte, usersURL string, q user.PageQuery) (user.Page, error) {
	after := len(q.After)
	p := user.Page{JSON: dst, Next: strings.Repeat("x", after+1)}
	if after%2 == 1 {
		p.JSON, p.Users = user.User{ID: fmt.Sprint(after)}.AppendJSON(dst, usersURL), 1
	}
	if after == 4 {
		p.Next = ""
	}
	return p, nil
}
