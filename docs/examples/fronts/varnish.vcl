# Varnish before Volens. It speaks no TLS: HAProxy, nginx or hitch stands before it and says X-Forwarded-Proto.
# volens.toml says: [cache] shared = "undecided"
#
# Who has said nothing shares one page per address and language. Everybody else goes through to Volens.

vcl 4.1;

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
    # Who has answered, objects, or has a browser that speaks for them.
    if (req.http.Cookie ~ "(^|;\s*)volens" || req.http.Sec-GPC == "1" || req.http.DNT == "1") {
        return (pass);
    }
    # Who is logged in: name the cookies of your application.
    if (req.http.Cookie ~ "(^|;\s*)(session|sessionid|PHPSESSID|wordpress_logged_in_[^=]*)=") {
        return (pass);
    }
    # What is not opened as a page of its own is none: frames, and what scripts fetch.
    if (req.http.Sec-Fetch-Dest && req.http.Sec-Fetch-Dest != "document") {
        return (pass);
    }
    # One page for all the others: no cookie, and one of the notice's languages, the first where none of them is asked for.
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
}

sub vcl_backend_response {
    # What nobody calls fit to be kept is not kept.
    if (!beresp.http.Cache-Control && !beresp.http.Expires) {
        set beresp.uncacheable = true;
    }
}

sub vcl_deliver {
    set resp.http.X-Cache = "miss";
    if (obj.hits > 0) {
        set resp.http.X-Cache = "hit";
    }
}
