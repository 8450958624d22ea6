package chaos_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// audit compares, once the load has ended and all is well, what clients were told with what there is,
// after each of them has made again what it had no good answer to.
func (l *load) audit(t *testing.T) {
	t.Helper()
	everyone := slices.Concat(l.workers, l.uploaders)
	for _, w := range everyone {
		l.running.Go(w.audit)
	}
	l.running.Wait()

	users := l.system.users(t)
	counts := map[state]int{}
	accounted := map[string]bool{}
	repeated := 0
	for _, w := range everyone {
		w.lists(w.accounts, users)
		for _, u := range w.accounts {
			counts[u.state]++
			accounted[u.email] = u.state != gone
			if u.key != "" {
				repeated++
			}
		}
	}
	for _, u := range users {
		if !accounted[u.Email] {
			l.finding("nobody created %+v, or it was deleted", u)
		}
	}

	named := map[string]bool{}
	for _, u := range users {
		if _, image, ok := strings.Cut(u.AvatarURL, "?v="); ok {
			named[u.ID+"/"+image] = true
		}
	}
	unnamed := 0
	for _, key := range l.system.aws.Objects(t) {
		if !named[strings.TrimPrefix(key, "avatars/")] {
			unnamed++
		}
	}
	t.Logf("figure: %d users there as acknowledged, %d deleted ones gone, %d creations repeated with their key, %d creations without a key left without an answer; %d images that no user names",
		counts[alive], counts[gone], repeated, counts[unanswered], unnamed)
	assert.NotZero(t, counts[alive], "users to compare")
}

func (w *worker) audit() {
	for _, u := range w.accounts {
		if u.key != "" && u.state != gone && u.state != deleting {
			w.again(u)
		}
		switch u.state {
		case alive:
			w.compare(u)
		case deleting:
			if w.insist(func() answer { return w.load.system.call(http.MethodGet, u.path(), nil) }).status == http.StatusOK {
				w.compare(u) // not deleted, and then not in part
			}
			a := w.insist(func() answer { return w.load.system.call(http.MethodDelete, u.path(), nil) })
			if a.status != http.StatusNoContent && a.status != http.StatusNotFound {
				w.load.finding("%s of %s again: %s", opDelete, u.id, a)
			}
			u.state = gone
			fallthrough
		case gone:
			if a := w.insist(func() answer { return w.load.system.call(http.MethodGet, u.path(), nil) }); a.status != http.StatusNotFound {
				w.load.finding("%s was deleted and is there: %s", u.id, a)
			}
		case unanswered: // of which the list shows no more than one
		}
	}
}

// again makes the request again that created a user, or was not answered.
func (w *worker) again(u *account) {
	a := w.insist(func() answer { return u.create(w.load.system) })
	switch id := createdID(a); {
	case a.status != http.StatusCreated || id == "":
		w.load.finding("the creation of %s again: %s", u.email, a)
	case u.state == alive && id != u.id:
		w.load.finding("the creation of %s again has made %s", u.id, id)
	default:
		u.id, u.state = id, alive
	}
}

// compare checks that a user is as the client was told, first with what may have been done and then
// with it done again.
func (w *worker) compare(u *account) {
	for range 2 {
		a := w.insist(func() answer { return w.load.system.call(http.MethodGet, u.path(), nil) })
		w.shows("audit: "+opGet, u, a)
		image := w.insist(func() answer { return w.load.system.call(http.MethodGet, u.path()+"/avatar", nil) })
		w.showsAvatar(u, image)
		if u.nextName == "" && u.nextAvatar == nil {
			return
		}
		if u.nextName != "" {
			a := w.insist(func() answer {
				body, _ := json.Marshal(map[string]string{"name": u.nextName}) // strings always can be
				return w.load.system.call(http.MethodPatch, u.path(), body, "Content-Type: application/json")
			})
			u.name, u.nextName = u.nextName, ""
			w.shows("audit: "+opPatch, u, a)
		}
		if u.nextAvatar != nil {
			a := w.insist(func() answer { return w.load.system.call(http.MethodPut, u.path()+"/avatar", u.nextAvatar) })
			u.avatar, u.nextAvatar = u.nextAvatar, nil
			w.shows("audit: "+opPutAvatar, u, a)
		}
	}
}

// insist makes a request until it is not refused: an audit is about what there is, and not about how
// fast a machine that is busy can tell.
func (w *worker) insist(request func() answer) answer {
	const long = 30 * time.Second
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if a := request(); !a.refused() || time.Since(began) > long {
			return a
		}
	}
}
