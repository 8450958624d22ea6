package chaos_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"prima.internal/app/apitest"
	"prima.internal/app/config"
)

// A state is what a client may conclude of a user from the responses that it got.
type state int

const (
	unconfirmed state = iota // the request to create it had no good reply
	alive
	deleting // the request to delete it had no good reply
	gone
)

// An account is a user as its client knows it. Of a write without a good reply the client knows
// that it may have been done; it makes the same write again before any other.
type account struct {
	email string // of no other account
	key   string // Idempotency-Key of its creation; empty: none
	asked string // name that it is created with
	first []byte // image that it is created with; nil: none

	id    string // once it is known
	state state

	name, nextName     string // next: of a write without a good reply; empty: none
	avatar, nextAvatar []byte
}

func newAccount(avatar []byte, key string) *account {
	name := "Ada " + rand.Text()
	return &account{
		email: strings.ToLower(rand.Text()) + "@example.com", key: key,
		asked: name, first: avatar, name: name, avatar: avatar,
	}
}

// imageBytes is more than goes through any buffer on the way at once.
const imageBytes = 24 << 10

// newImage returns an image that is like no other.
func newImage(size int) []byte {
	content := make([]byte, size)
	_, _ = rand.Read(content)
	return apitest.PNGWith(content)
}

// creation returns the request that creates the user, the same each time.
func (u *account) creation() (body []byte, header []string) {
	if u.key != "" {
		header = append(header, "Idempotency-Key: "+u.key)
	}
	if u.first == nil {
		body = fmt.Appendf(nil, `{"name":%q,"email":%q}`, u.asked, u.email)
		return body, append(header, "Content-Type: application/json")
	}
	contentType, body := apitest.Form(
		apitest.Field("name", u.asked), apitest.Field("email", u.email), apitest.File("avatar", "a.png", u.first))
	return body, append(header, "Content-Type: "+contentType)
}

func (u *account) create(s *system) reply {
	body, header := u.creation()
	return s.call(http.MethodPost, config.PathUsers, body, header...)
}

func (u *account) path() string { return config.PathUsers + "/" + u.id }

// fits reports whether the API may show the user like this.
func (u *account) fits(l apitest.User) bool {
	name := l.Name == u.name || (u.nextName != "" && l.Name == u.nextName)
	avatar := (l.AvatarURL != "") == (u.avatar != nil) || (u.nextAvatar != nil && l.AvatarURL != "")
	return l.ID == u.id && l.Email == u.email && name && avatar
}

// The operations of a worker on a user report whether they were served.

func (w *worker) create(u *account) bool {
	if !slices.Contains(w.accounts, u) {
		w.accounts = append(w.accounts, u)
	}
	op := opCreate
	if u.first != nil {
		op = opCreateForm
	}
	body, header := u.creation()
	a, served := w.do(op, http.MethodPost, config.PathUsers, body, header...)
	if !served {
		return false
	}
	id := createdID(a)
	if a.status != http.StatusCreated || id == "" || (u.state == alive && id != u.id) {
		w.load.finding("%s of %+v: %s", op, u, a)
	}
	u.id, u.state = id, alive
	return true
}

// get also finds out whether a delete was done whose response the client does not know.
func (w *worker) get(u *account) bool {
	a, served := w.do(opGet, http.MethodGet, u.path(), nil)
	switch {
	case !served:
		return false
	case a.status == http.StatusNotFound && (u.state == deleting || u.state == gone):
		u.state = gone
		return true
	case u.state == gone:
		w.load.finding("%s was deleted and is there: %s", u.id, a)
		return true
	}
	u.state = alive
	w.shows(opGet, u, a)
	return true
}

// shows checks a response that shows a user.
func (w *worker) shows(op string, u *account, a reply) {
	var l apitest.User
	if a.status != http.StatusOK || json.Unmarshal(a.body, &l) != nil || !u.fits(l) {
		w.load.finding("%s of %s, named %q or %q: %s", op, u.id, u.name, u.nextName, a)
	}
}

func (w *worker) patch(u *account) bool {
	if u.nextName == "" {
		u.nextName = "Grace " + rand.Text()
	}
	body := fmt.Appendf(nil, `{"name":%q}`, u.nextName)
	a, served := w.do(opPatch, http.MethodPatch, u.path(), body, "Content-Type: application/json")
	if served {
		u.name, u.nextName = u.nextName, ""
		w.shows(opPatch, u, a)
	}
	return served
}

func (w *worker) putAvatar(u *account) bool {
	if u.nextAvatar == nil {
		u.nextAvatar = newImage(imageBytes)
	}
	a, served := w.do(opPutAvatar, http.MethodPut, u.path()+"/avatar", u.nextAvatar)
	if served {
		u.avatar, u.nextAvatar = u.nextAvatar, nil
		w.shows(opPutAvatar, u, a)
	}
	return served
}

func (w *worker) getAvatar(u *account) bool {
	a, served := w.do(opGetAvatar, http.MethodGet, u.path()+"/avatar", nil)
	switch {
	case !served:
	case a.status == http.StatusNotFound && u.avatar == nil:
	case a.status == http.StatusOK && u.avatar != nil && bytes.Equal(a.body, u.avatar):
	case a.status == http.StatusOK && u.nextAvatar != nil && bytes.Equal(a.body, u.nextAvatar):
	default:
		w.load.finding("%s of %s is neither image: %d bytes, %s", opGetAvatar, u.id, len(a.body), a)
	}
	return served
}

func (w *worker) delete(u *account) bool {
	a, served := w.do(opDelete, http.MethodDelete, u.path(), nil)
	switch {
	case !served:
		u.state = deleting
	case a.status == http.StatusNoContent, a.status == http.StatusNotFound && u.state == deleting:
		u.state = gone
	default:
		w.load.finding("%s of %s: %s", opDelete, u.id, a)
	}
	return served
}

// list gets all users, or so many.
func (w *worker) list(op string, limit int) {
	path := config.PathUsers
	if limit > 0 {
		path += fmt.Sprint("?limit=", limit)
	}
	known := slices.Clone(w.accounts)
	a, served := w.do(op, http.MethodGet, path, nil)
	var users []apitest.User
	switch {
	case !served:
	case a.status != http.StatusOK || json.Unmarshal(a.body, &users) != nil || (limit > 0 && len(users) > limit):
		w.load.finding("%s: %s", op, a)
	case limit == 0:
		w.lists(known, users)
	}
}

// lists checks that a list shows the worker's users once and as they are.
func (w *worker) lists(known []*account, users []apitest.User) {
	byEmail := map[string][]apitest.User{}
	for _, l := range users {
		byEmail[l.Email] = append(byEmail[l.Email], l)
	}
	for _, u := range known {
		shown := byEmail[u.email]
		switch {
		case len(shown) > 1:
			w.load.finding("one request has made more than one user: %+v", shown)
		case u.state == alive && (len(shown) == 0 || !u.fits(shown[0])):
			w.load.finding("%s is not in the list, or not as it is: %+v", u.id, shown)
		case u.state == gone && len(shown) > 0:
			w.load.finding("%s was deleted and is in the list", u.id)
		}
	}
}
