package chaos_test

import (
	"strings"
	"testing"
	"time"
)

// audit compares, after the load and the fault have ended, what the clients were told with what
// there is. First each client makes its requests again that were not served. It returns how many
// images no user names.
func (l *load) audit(t *testing.T) (unnamed int) {
	t.Helper()
	for _, w := range l.workers {
		l.running.Go(w.audit)
	}
	l.running.Wait()

	users := l.system.users(t)
	accounted := map[string]bool{}
	for _, w := range l.workers {
		w.lists(w.accounts, users)
		for _, u := range w.accounts {
			accounted[u.email] = u.state != gone
		}
	}
	named := map[string]bool{}
	for _, u := range users {
		if !accounted[u.Email] {
			l.finding("nobody created %+v, or it was deleted", u)
		}
		if _, image, ok := strings.Cut(u.AvatarURL, "?v="); ok {
			named["avatars/"+u.ID+"/"+image] = true
		}
	}
	for _, key := range l.system.aws.Objects(t) {
		if !named[key] {
			unnamed++
		}
	}
	return unnamed
}

func (w *worker) audit() {
	for _, u := range w.accounts {
		if u.key != "" && (u.state == unconfirmed || u.state == alive) {
			w.insist(w.create, u)
		}
		again := u.state == deleting
		if again {
			w.insist(w.get, u) // it is gone, or whole
		}
		if u.state == alive {
			w.insist(w.get, u)
			w.insist(w.getAvatar, u)
			if u.nextName != "" {
				w.insist(w.patch, u)
			}
			if u.nextAvatar != nil {
				w.insist(w.putAvatar, u)
			}
			w.insist(w.get, u)
			w.insist(w.getAvatar, u)
		}
		if again && u.state == alive {
			w.insist(w.delete, u)
		}
		if u.state == gone {
			w.insist(w.get, u)
		}
	}
}

// insist makes a request until it is served.
func (w *worker) insist(do func(*account) bool, u *account) {
	const long = 30 * time.Second
	for began := time.Now(); !do(u); time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > long {
			w.load.finding("%+v: a request is not served after the fault", u)
			return
		}
	}
}
