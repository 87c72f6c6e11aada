# Varnish before Volens. It speaks no TLS: HAProxy, nginx or hitch stands before it and says X-Forwarded-Proto.
# volens.toml says: [cache] shared = "undecided", or "answers"
#
# Who has said nothing shares one page per address and language. With "answers", so do those who answered alike, by their short
# cookie, over https __Host-volens-grant. Everybody else goes through to Volens.

vcl 4.1;

import cookie;
import std;

backend default {
    .host = "127.0.0.1";
    .port = "8080";
    .probe = { .url = "/_volens/ready"; .interval = 2s; }
}

sub vcl_recv {
    # For those who watch this machine.
    if (req.url == "/_volens/ready") {
        if (std.healthy(req.backend_hint)) {
            return (synth(200));
        }
        return (synth(503));
    }
    if (req.url ~ "^/_volens/(ready|metrics)(\?|$)") {
        return (synth(404));
    }
    if (req.http.Upgrade ~ "(?i)websocket") {
        return (pipe);
    }
    if (req.method != "GET" && req.method != "HEAD") {
        return (pass);
    }
    unset req.http.X-Answer;
    unset req.http.X-Answer-Cookie;
    # Who objects, is a minor, has an account whose choice applies, or a browser that speaks for them.
    if (req.http.Cookie ~ "(^|;\s*)(__Host-)?volens-(audience|age|account)" || req.http.Sec-GPC == "1" || req.http.DNT == "1") {
        return (pass);
    }
    # Who has answered: by the short cookie, or not from here.
    if (req.http.Cookie ~ "(^|;\s*)(__Host-)?volens") {
        if (req.http.Cookie !~ "(^|;\s*)(__Host-)?volens-grant=[01]+\.[0-9a-f]{16}(;|$)" || req.http.Cookie ~ "volens-grant=.*volens-grant=") {
            return (pass);
        }
        # Over https the plain names are what another host of the domain planted, and so is one of two answers.
        if (req.http.X-Forwarded-Proto == "https" && req.http.Cookie ~ "(^|;\s*)volens-(grant|record)=") {
            return (pass);
        }
        if (req.http.Cookie ~ "(^|;\s*)volens=.*;\s*volens=") {
            return (pass);
        }
        set req.http.X-Answer = regsub(req.http.Cookie, "^.*?volens-grant=([01]+\.[0-9a-f]{16}).*$", "\1");
    }
    # Who is logged in: name the cookies of your application.
    if (req.http.Cookie ~ "(^|;\s*)(session|sessionid|PHPSESSID|wordpress_logged_in_[^=]*)=") {
        return (pass);
    }
    # What is not opened as a page of its own is none: frames, and what scripts fetch.
    if (req.http.Sec-Fetch-Dest && req.http.Sec-Fetch-Dest != "document") {
        return (pass);
    }
    # One page for all the others: no cookie but the answer, which Volens judges where there is no page yet, and one of the notice's languages, the first where none of them is asked for.
    if (req.http.X-Answer) {
        cookie.parse(req.http.Cookie);
        cookie.keep("volens,volens-record,volens-grant,__Host-volens-record,__Host-volens-grant");
        set req.http.X-Answer-Cookie = cookie.get_string();
    }
    unset req.http.Cookie;
    unset req.http.Sec-Fetch-Site;
    set req.http.Accept-Language = req.http.Accept-Language + ",fr";
    set req.http.Accept-Language = regsub(req.http.Accept-Language, "(?i)^(?:.*?[\s,])??(fr|en)(?:[-;,\s].*)?$", "\1");
}

sub vcl_pipe {
    set bereq.http.Upgrade = req.http.Upgrade;
    set bereq.http.Connection = req.http.Connection;
}

sub vcl_hash {
    hash_data(req.http.Accept-Language);
    hash_data(req.http.X-Forwarded-Proto);
    hash_data(req.http.X-Answer);
}

sub vcl_backend_fetch {
    if (bereq.http.X-Answer-Cookie) {
        set bereq.http.Cookie = bereq.http.X-Answer-Cookie;
    }
    unset bereq.http.X-Answer-Cookie;
}

sub vcl_backend_response {
    # What nobody calls fit to be kept is not kept.
    if (!beresp.http.Cache-Control && !beresp.http.Expires) {
        set beresp.uncacheable = true;
    }
    # Here the answer keeps pages apart; the visitor's own browser does so by the cookies.
    if (bereq.http.X-Answer) {
        set beresp.http.X-Vary = beresp.http.Vary;
        set beresp.http.Vary = regsuball(beresp.http.Vary, "(?i)(^|,)\s*Cookie\s*(?=,|$)", "");
        set beresp.http.Vary = regsub(beresp.http.Vary, "^\s*,\s*", "");
    }
}

sub vcl_deliver {
    if (resp.http.X-Vary) {
        set resp.http.Vary = resp.http.X-Vary;
        unset resp.http.X-Vary;
    }
    set resp.http.X-Cache = "miss";
    if (obj.hits > 0) {
        set resp.http.X-Cache = "hit";
    }
}
