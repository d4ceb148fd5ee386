"""Meaning and example of each key of the sections that say where targets come from."""

STATIC = {
    "targets": ("The tasks, each by its three ids.", "targets: [661e0000000000000000543c/Room1/Task1]"),
    "labels": (
        "Of all of them. `__*` are dropped but for [two](targets.md#when-a-class-is-meant-to-be).",
        'labels: {team: edu, __expected_end__: "2026-11-22T09:30:00Z"}',
    ),
}
FILES = {
    "files": (
        "Files or patterns, ending in `.yml`, `.yaml` or `.json`; wildcards only after the last slash.",
        "files: [targets/*.yml, more/classes.json]",
    ),
    "refresh_interval": ("How often they are looked at.", "refresh_interval: 10s"),
}
_CLIENT = {
    "authorization.type": (
        "The first word of the header `Authorization`.",
        "authorization: {type: Bearer, credentials_file: keys/token}",
    ),
    "authorization.credentials": ("The rest of it.", "authorization: {credentials: made-up}"),
    "authorization.credentials_file": (
        "A file that holds it, read at each refresh.",
        "authorization: {credentials_file: keys/token}",
    ),
    "basic_auth.username": (
        "User name; instead of `authorization`.",
        "basic_auth: {username: exporter, password_file: keys/password}",
    ),
    "basic_auth.password": ("The password.", "basic_auth: {username: exporter, password: made-up}"),
    "basic_auth.password_file": (
        "A file that holds it, read at each refresh.",
        "basic_auth: {username: exporter, password_file: keys/password}",
    ),
    "tls_config.ca_file": (
        "An authority to trust instead of the usual ones, PEM.",
        "tls_config: {ca_file: company-ca.pem}",
    ),
    "tls_config.cert_file": (
        "The certificate to show, PEM.",
        "tls_config: {cert_file: client.pem, key_file: client.key}",
    ),
    "tls_config.key_file": ("Its key.", "tls_config: {cert_file: client.pem, key_file: client.key}"),
    "tls_config.insecure_skip_verify": (
        "Trust any certificate. Warned of: whoever stands in between can write the targets.",
        "tls_config: {insecure_skip_verify: true}",
    ),
    "proxy_url": (
        "The proxy to it, else `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`; never for a loopback host.",
        "proxy_url: http://proxy.example:3128",
    ),
    "follow_redirects": ("At most 5; credentials go to no other server.", "follow_redirects: false"),
}
URLS = {
    "url": (
        "What is asked with GET. No `user:password@` in it; its query is shown as `<secret>`.",
        "url: https://backend.example/webcast-targets?region=cn",
    ),
    "refresh_interval": ("How often it is asked.", "refresh_interval: 10s"),
    **_CLIENT,
}
PUSH = {
    "token_file": (
        "Tokens, one a line; each is accepted, so that one can take another's place. Without it pushing is off.",
        "token_file: keys/push-tokens",
    ),
    "ttl": ("A target that is not live goes so long after it was last named by a push or a callback.", "ttl: 12h"),
}
CALLBACKS = {
    "secret_file": (
        "The secrets of the console, one a line; any may fit. Without it callbacks are off.",
        "secret_file: keys/callback-secrets",
    ),
    "event_types": (
        "The EventTypes that count, in any case. `Webcast` is a guess; the room events are documented.",
        "event_types: [Webcast, WebcastTask]",
    ),
    "max_age": ("An event whose time is further from now than this, either way, is stale.", "max_age: 5m"),
    "listen_address": (
        "A listener of its own that serves `/callback` alone, for the open internet.",
        'listen_address: ":10961"',
    ),
}
