package console

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// maxAnswer bounds what a page hands over, in bytes.
const maxAnswer = 64 << 10

const cookieName = "ostraka-page"

func (s *Page) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /"+s.token+"/{$}", s.page)
	mux.HandleFunc("GET /"+s.token+"/step", s.step)
	mux.HandleFunc("POST /"+s.token+"/answer/{number}", s.answer)
	return s.guarded(mux)
}

// guarded lets nobody in but a page of this origin, and somebody who opens the URL. The host is compared whole: a
// site that makes its own name point to 127.0.0.1 (DNS rebinding) still asks under its own name.
func (s *Page) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Frame-Options", "DENY")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "publickey-credentials-get=(self), publickey-credentials-create=(self)")
		from, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
		switch {
		case r.Host != s.host:
			http.Error(w, "this page is of "+s.origin+" alone", http.StatusMisdirectedRequest)
		case from != s.origin && (from != "" || r.Method == http.MethodPost):
			http.Error(w, "another site's page may not ask", http.StatusForbidden)
		case site != "" && site != "none" && site != "same-origin":
			http.Error(w, "another site's page may not lead here: copy the address into the browser", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// first gives the page to the browser that comes first, and says whether this is it. The program's arguments, in which the URL may
// stand, are open to other users of the machine.
func (s *Page) first(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.browser == "" && r.Method == http.MethodGet {
		s.browser = rand.Text()
		http.SetCookie(w, &http.Cookie{Name: cookieName, Value: s.browser, Path: "/" + s.token + "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
		return true
	}
	c, err := r.Cookie(cookieName)
	if err == nil && s.browser != "" && subtle.ConstantTimeCompare([]byte(c.Value), []byte(s.browser)) == 1 {
		return true
	}
	http.Error(w, "another browser has this page already: end the command with Ctrl-C, run it again with --no-browser, and open the address in the browser that holds the passkey", http.StatusForbidden)
	return false
}

func (s *Page) page(w http.ResponseWriter, r *http.Request) {
	if !s.first(w, r) {
		return
	}
	v := view{}
	if one := s.now(); one != nil {
		v.Step, v.Shown = one.number, one.shown
		v.Auto = v.Auto && s.began()
	}
	var out bytes.Buffer
	if err := v.write(&out); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(out.Bytes())
}

// step says which step is asked, 0 for none now, so that the page knows when to load itself anew.
func (s *Page) step(w http.ResponseWriter, r *http.Request) {
	if !s.first(w, r) {
		return
	}
	number := 0
	if one := s.now(); one != nil {
		number = one.number
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(number)
}

// answer judges what the page brings for a step. No step is answered twice.
func (s *Page) answer(w http.ResponseWriter, r *http.Request) {
	if !s.first(w, r) {
		return
	}
	if r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "an answer is JSON", http.StatusUnsupportedMediaType)
		return
	}
	response, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAnswer))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		http.Error(w, "the answer is too long", http.StatusRequestEntityTooLarge)
		return
	} else if err != nil {
		http.Error(w, "the answer did not come whole", http.StatusBadRequest)
		return
	}
	number, _ := strconv.Atoi(r.PathValue("number"))
	one := s.take(number)
	if one == nil {
		http.Error(w, "this step is answered, or not asked", http.StatusConflict)
		return
	}
	if err = one.check(response); err == nil {
		s.begin(one)
	}
	one.answer <- err
	if err != nil {
		s.end(err)
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// begin remembers that a series of steps has begun, and began tells: the first wants a click.
func (s *Page) begin(one *step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clicked = s.clicked || one.shown.Auto
}

func (s *Page) began() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clicked
}
