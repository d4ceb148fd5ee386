"""Meaning and example of each key of `accounts`."""

ACCOUNTS = {
    "name": ("The label `account` of its metrics. Each account's own.", "name: school"),
    "access_key_id": ("The access key. Without any key here it is `$VOLC_ACCESSKEY`.", "access_key_id: AKLTexample"),
    "access_key_id_file": (
        "A file that holds it. An account's files are read again as one set when one changes, and tried at once.",
        "access_key_id_file: keys/ak",
    ),
    "secret_access_key": ("Its secret, else `$VOLC_SECRETKEY`.", "secret_access_key: made-up"),
    "secret_access_key_file": ("A file that holds it.", "secret_access_key_file: keys/sk"),
    "session_token": ("The token of a temporary key (STS), else `$VOLC_SESSION_TOKEN`.", "session_token: made-up"),
    "session_token_file": ("A file that holds it.", "session_token_file: keys/token"),
    "endpoint": (
        "Where the API is. `https` only; `http` for a simulator on this machine.",
        "endpoint: https://open-ap-singapore-1.volcengineapi.com",
    ),
    "region": (
        "What the signature names. The vendor's pages spell Johor's two ways, `ap-southeast-1` and `ap-singapore-1`.",
        "region: ap-singapore-1",
    ),
    "api_version": ("The API's version; the vendor documents the same answer for both.", 'api_version: "2023-11-01"'),
    "max_qps": (
        "Calls a second, never more. The vendor allows an account 60, and your own services share them.",
        "max_qps: 30",
    ),
    "timeout": ("For one call, in all. At least `1s`.", "timeout: 10s"),
    "proxy_url": (
        "The proxy to the API, else `HTTPS_PROXY` and `NO_PROXY`. It may hold a user and a password.",
        "proxy_url: http://proxy.example:3128",
    ),
    "tls_config.ca_file": (
        "An authority to trust instead of the usual ones, PEM.",
        "tls_config: {ca_file: company-ca.pem}",
    ),
    "app_ids": (
        "Which apps are this account's. Needed with several accounts; with one, `check --probe` asks for the first.",
        "app_ids: [661e0000000000000000543c]",
    ),
}
