"""The user's way to a package registry, for pip and uv, without what redirects an install.

A registry, a proxy, a certificate or a cache that the user has configured is kept. What else a configuration holds,
such as another target folder or a version that may not be installed, is meant for other work. The setup reads this
file before anything is installed (scripts/_venv.py), so it uses the standard library only.
"""

import ast
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_PIP_SETTINGS = (
    *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "proxy"),
    *("cert", "client-cert", "default-timeout", "timeout", "retries", "cache-dir", "no-cache-dir"),
    *("keyring-provider", "use-deprecated", "use-feature"),
)

_WHOLE_LIST = {
    **dict.fromkeys(("PIP_USER", "PIP_GLOBAL", "PIP_SITE", "PIP_QUIET", "PIP_VERBOSE"), "0"),
    "_PIP_RUNNING_IN_SUBPROCESS": "1",  # by which pip ignores the setting `python`
}
"""Settings of `pip config list` itself: a file with `user = true` would make it list the user's file only."""

_UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "proxy": "ALL_PROXY",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
    "keyring-provider": "UV_KEYRING_PROVIDER",
}
"""uv does not read pip's configuration; these are its variables for the same settings."""

_UV_VARIABLES = re.compile(
    "UV_(DEFAULT_INDEX|(EXTRA_)?INDEX_URL|INDEX|INDEX_.*|FIND_LINKS|NO_INDEX|INSECURE_HOST|KEYRING_PROVIDER"
    "|HTTP_.*|REQUEST_TIMEOUT|NATIVE_TLS|SYSTEM_CERTS|CACHE_DIR|NO_CACHE|LINK_MODE|OFFLINE|CONCURRENT_.*)"
)

_UV_SETTINGS = {
    *("index", "index-url", "extra-index-url", "find-links", "no-index", "index-strategy"),
    *("allow-insecure-host", "keyring-provider", "native-tls", "system-certs", "cache-dir"),
    *("no-cache", "offline", "link-mode", "concurrent-downloads", "concurrent-installs"),
    *("http-proxy", "https-proxy", "no-proxy", "pip"),
}


def pip_settings(pip: Sequence[str], variables: Mapping[str, str]) -> dict[str, str]:
    """Return pip's settings, from its files and variables, by their names in a configuration file."""
    own = {
        name: value
        for name, value in variables.items()
        if not name.startswith("PIP_") or _setting(name) in ("config-file", *_PIP_SETTINGS)
    }
    # Where pip is not installed, this prints nothing.
    listed = subprocess.run(
        [*pip, "config", "list"], env=own | _WHOLE_LIST, capture_output=True, text=True
    ).stdout
    settings: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for section, name, value in re.findall(r"^(.*)\.([\w-]+)=('.*'|\".*\")$", listed, re.MULTILINE):
        if section in settings:
            settings[section][name] = " ".join(ast.literal_eval(value).split())
    return {**settings["global"], **settings["install"], **settings[":env:"]}


def _setting(variable: str) -> str:
    return variable.removeprefix("PIP_").lower().replace("_", "-")


def installer_environment(
    settings: Mapping[str, str], variables: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables for pip and uv, from pip's settings and the user's variables."""
    environment = {
        name: value
        for name, value in variables.items()
        if not name.startswith(("PIP_", "UV_")) or _UV_VARIABLES.fullmatch(name)
    }
    environment |= {"PIP_CONFIG_FILE": os.devnull, "UV_NO_PROGRESS": "1"} | _uv_file(variables)
    for name in _PIP_SETTINGS:
        value = settings.get(name)
        if value:
            environment["PIP_" + name.upper().replace("-", "_")] = value
            if name in _UV_NAMES:
                # uv separates the entries of this one list with commas.
                listed = value.replace(" ", ",") if name == "find-links" else value
                environment.setdefault(_UV_NAMES[name], listed)
    if "extra-index-url" in settings:
        # As pip does: any of the indexes may have the version. The hashes decide whether it is the right file.
        environment.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    return environment


def _uv_file(variables: Mapping[str, str]) -> dict[str, str]:
    """Let uv read the user's uv.toml if it names registries only, and else no file at all.

    No other file either: uv would look for one in every folder above this project.
    """
    for path in _uv_files(variables):
        try:
            content = tomllib.loads(path.read_text())
        except (OSError, ValueError):
            continue
        names = content.keys() | content.get("pip", {}).keys()
        return {"UV_CONFIG_FILE": str(path)} if names <= _UV_SETTINGS else {"UV_NO_CONFIG": "1"}
    return {"UV_NO_CONFIG": "1"}


def _uv_files(variables: Mapping[str, str]) -> Iterator[Path]:
    if variables.get("UV_CONFIG_FILE"):
        yield Path(variables["UV_CONFIG_FILE"])
    if not variables.get("UV_NO_CONFIG"):
        home = variables.get("XDG_CONFIG_HOME") or Path(variables.get("HOME", "/"), ".config")
        yield Path(home, "uv", "uv.toml")
        yield Path("/etc/uv/uv.toml")
