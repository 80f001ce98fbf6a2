package rest

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	pb "github.com/mosaajii/backup/gateway/internal/gen/backupv1"
)

// A browser's EventSource can set no header, and a token in an address stands in the logs of every proxy. So a page asks once, with its
// token in the header, for a cookie that holds it. The gateway keeps nothing. The cookie counts for pages of the gateway's own origin only;
// scripts cannot read it. On watch routes, which change nothing, it counts by itself. Elsewhere the page says in a header of its own that it
// means the session: no other origin's page can set that one without being allowed to, and CORS never allows it.
const (
	sessionPath   = "/api/session"
	sessionCookie = "mosaajii_session"
	sessionHeader = "X-Mosaajii-Session"
	// Browsers drop a cookie that is larger than 4096 bytes with its name.
	maxSessionBytes = 3500
)

func (s *Server) session(w http.ResponseWriter, r *http.Request) {
	cookie := &http.Cookie{Name: sessionCookie, Path: "/api", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.overTLS(r)}
	switch r.Method {
	case http.MethodGet:
		// Whether there is a cookie at all, so that a page need not fail to learn that there is none. Whether its token is good is not said.
		writeJSON(w, fmt.Sprintf(`{"success":true,"data":{"open":%t}}`, fromSession(r) != nil))
	case http.MethodPost:
		p := s.openSession(r, cookie)
		if p != nil {
			p.write(w, r)
			return
		}
		http.SetCookie(w, cookie)
		writeJSON(w, `{"success":true,"message":"the session's cookie stands for the token"}`)
	case http.MethodDelete:
		cookie.MaxAge = -1
		http.SetCookie(w, cookie)
		writeJSON(w, `{"success":true,"message":"the session has ended"}`)
	default:
		notAllowed(w, r, []string{http.MethodDelete, http.MethodGet, http.MethodPost})
	}
}

// openSession puts the caller's token into the cookie, once the server has said that it may read.
func (s *Server) openSession(r *http.Request, cookie *http.Cookie) *problem {
	authorization, p := bearer(r.Header.Values("Authorization"))
	if p != nil {
		return p
	}
	_, token, _ := strings.Cut(authorization, " ")
	switch {
	case strings.ContainsAny(token, "\",;\\"):
		return fail(codes.Unauthenticated, "the token holds a character that no token has")
	case len(token) > maxSessionBytes:
		return fail(codes.InvalidArgument, "the token is larger than a cookie may be")
	}
	i := infoOf(r.Context())
	ctx, cancel := context.WithTimeout(r.Context(), s.callTimeout)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", authorization, "x-request-id", i.requestID, "x-mosaajii-client-ip", i.client.String())
	if _, err := s.backups.ListBackups(ctx, &pb.ListBackupsRequest{PageSize: 1}); err != nil {
		return fromCall(err)
	}
	cookie.Value = token
	return nil
}

// fromSession gives the cookie's token as the header that it stands for; nil without one. A browser says where a page comes from.
func fromSession(r *http.Request) []string {
	cookie, err := r.Cookie(sessionCookie)
	if site := r.Header.Get("Sec-Fetch-Site"); err != nil || site != "" && site != "same-origin" {
		return nil
	}
	return []string{"Bearer " + cookie.Value}
}

// overTLS says whether the client's connection is one with TLS, which a trusted proxy may say of its own.
func (s *Server) overTLS(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" && contains(s.trusted, parseAddress(r.RemoteAddr))
}
