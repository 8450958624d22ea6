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

// A state is what a client may conclude of a user from what it has been answered.
type state int

const (
	unanswered state = iota // the request to create it had no good answer
	alive
	deleting // the request to delete it had no good answer
	gone
)

// An account is a user as its client knows it. Of a write without a good answer the client knows that
// it may have been done; it makes the same write again before any other.
type account struct {
	email string // of no other account
	key   string // Idempotency-Key of its creation; empty: none
	asked string // name that it is created with
	first []byte // image that it is created with; nil: none

	id    string // once it is known
	state state

	name, nextName     string // next: of a write without a good answer; empty: none
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

// create asks for the user to be created, with the same request each time.
func (u *account) create(s *system) answer {
	var header []string
	if u.key != "" {
		header = append(header, "Idempotency-Key: "+u.key)
	}
	if u.first == nil {
		body := fmt.Appendf(nil, `{"name":%q,"email":%q}`, u.asked, u.email)
		return s.call(http.MethodPost, config.PathUsers, body, append(header, "Content-Type: application/json")...)
	}
	contentType, body := apitest.Form(apitest.Field("name", u.asked), apitest.Field("email", u.email), apitest.File("avatar", "a.png", u.first))
	return s.call(http.MethodPost, config.PathUser, body, append(header, "Content-Type: "+contentType)...)
}

func (u *account) path() string { return config.PathUsers + "/" + u.id }

// fits reports whether the API may show the user like this.
func (u *account) fits(l listed) bool {
	name := l.Name == u.name || (u.nextName != "" && l.Name == u.nextName)
	avatar := (l.AvatarURL != "") == (u.avatar != nil) || (u.nextAvatar != nil && l.AvatarURL != "")
	return l.ID == u.id && l.Email == u.email && name && avatar
}

func (w *worker) create(u *account) {
	if !slices.Contains(w.accounts, u) {
		w.accounts = append(w.accounts, u)
	}
	op := opCreate
	if u.first != nil {
		op = opCreateForm
	}
	a := w.do(op, func() answer { return u.create(w.load.system) })
	switch {
	case a.refused():
	case a.status == http.StatusCreated && createdID(a) != "":
		u.id, u.state = createdID(a), alive
	default:
		w.load.finding("%s: %s", op, a)
	}
}

func (w *worker) get(u *account) {
	a := w.do(opGet, func() answer { return w.load.system.call(http.MethodGet, u.path(), nil) })
	if !a.refused() {
		w.shows(opGet, u, a)
	}
}

// shows checks an answer that shows a user.
func (w *worker) shows(op string, u *account, a answer) {
	var l listed
	if a.status != http.StatusOK || json.Unmarshal(a.body, &l) != nil || !u.fits(l) {
		w.load.finding("%s of %+v: %s", op, u, a)
	}
}

func (w *worker) patch(u *account) {
	if u.nextName == "" {
		u.nextName = "Grace " + rand.Text()
	}
	a := w.do(opPatch, func() answer {
		return w.load.system.call(http.MethodPatch, u.path(), fmt.Appendf(nil, `{"name":%q}`, u.nextName), "Content-Type: application/merge-patch+json")
	})
	if a.refused() {
		return
	}
	u.name, u.nextName = u.nextName, ""
	w.shows(opPatch, u, a)
}

func (w *worker) putAvatar(u *account) {
	if u.nextAvatar == nil {
		u.nextAvatar = w.avatar()
	}
	a := w.do(opPutAvatar, func() answer {
		return w.load.system.call(http.MethodPut, u.path()+"/avatar", u.nextAvatar)
	})
	if a.refused() {
		return
	}
	u.avatar, u.nextAvatar = u.nextAvatar, nil
	w.shows(opPutAvatar, u, a)
}

func (w *worker) getAvatar(u *account) {
	a := w.do(opGetAvatar, func() answer { return w.load.system.call(http.MethodGet, u.path()+"/avatar", nil) })
	if !a.refused() {
		w.showsAvatar(u, a)
	}
}

// showsAvatar checks an answer that is a user's image, or that there is none.
func (w *worker) showsAvatar(u *account, a answer) {
	switch {
	case a.status == http.StatusNotFound && u.avatar == nil:
	case a.status == http.StatusOK && u.avatar != nil && bytes.Equal(a.body, u.avatar):
	case a.status == http.StatusOK && u.nextAvatar != nil && bytes.Equal(a.body, u.nextAvatar):
	default:
		w.load.finding("%s of %s, an image of %d bytes expected, or one of %d: %d bytes, %s", opGetAvatar, u.id, len(u.avatar), len(u.nextAvatar), len(a.body), a)
	}
}

func (w *worker) delete(u *account) {
	before := u.state
	a := w.do(opDelete, func() answer { return w.load.system.call(http.MethodDelete, u.path(), nil) })
	switch {
	case a.refused():
		u.state = deleting
	case a.status == http.StatusNoContent, a.status == http.StatusNotFound && before == deleting:
		u.state = gone
	default:
		w.load.finding("%s of %s: %s", opDelete, u.id, a)
	}
}

func (w *worker) list() {
	known := slices.Clone(w.accounts)
	a := w.do(opList, func() answer { return w.load.system.call(http.MethodGet, config.PathUsers, nil) })
	if a.refused() {
		return
	}
	var users []listed
	if a.status != http.StatusOK || json.Unmarshal(a.body, &users) != nil {
		w.load.finding("%s: %s", opList, a)
		return
	}
	w.lists(known, users)
}

// lists checks that a list shows the worker's users once and as they are.
func (w *worker) lists(known []*account, users []listed) {
	byEmail := map[string][]listed{}
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

func (w *worker) page() {
	const limit = 5
	a := w.do(opPage, func() answer {
		return w.load.system.call(http.MethodGet, fmt.Sprint(config.PathUsers, "?limit=", limit), nil)
	})
	if a.refused() {
		return
	}
	var users []listed
	if a.status != http.StatusOK || json.Unmarshal(a.body, &users) != nil || len(users) > limit {
		w.load.finding("%s: %s", opPage, a)
	}
}
