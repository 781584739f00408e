"""How the scripts of clients are told whom to ask, and how they tell what held: one line a check."""

import json
import os
import time
import traceback
import urllib.request
import uuid

# The server under test, and a second one of the same configuration that asks for keys, where the binary can.
URL = os.environ.get("CLIENT_URL", "")
KEYED_URL = os.environ.get("CLIENT_KEYED_URL", "")
# The scripted upstream behind both.
UPSTREAM_URL = os.environ.get("CLIENT_UPSTREAM_URL", "")
# Whether the server under test is the upstream itself, which shows that a script asks for what is right.
# The format that the upstream is asked in; in another than the client's, less can be said.
UPSTREAM_KIND = os.environ.get("CLIENT_UPSTREAM_KIND", "")
IS_DIRECT = os.environ.get("CLIENT_DIRECT") == "1"

MODEL = "assistant"
RIGHT_KEY = "right-key-of-testers"
WRONG_KEY = "wrong-key-of-nobody"
N_CALLERS = 64

# An upstream that looks every 50 ms has seen by then that nobody reads, on a machine with other work too.
NOTICE_S = 30


class Skip(Exception):
    """A check that cannot be made here; says why."""


def run(checks):
    """Makes each check and prints what came of it. A check's name is its function's."""
    failed = 0
    for check in checks:
        name = check.__name__.replace("_", " ").strip()
        try:
            check()
            print(f"ok\t{name}", flush=True)
        except Skip as why:
            print(f"skip\t{name}\t{why}", flush=True)
        except Exception as problem:
            failed += 1
            place = traceback.extract_tb(problem.__traceback__)[-1]
            said = " ".join(f"{type(problem).__name__}: {problem}".split())[:600]
            print(f"FAIL\t{name}\t{said} (line {place.lineno}: {place.line})", flush=True)
    raise SystemExit(1 if failed else 0)


def through_only():
    if IS_DIRECT:
        raise Skip("only of what stands between")


def not_over(*kinds):
    """Skips what some formats of upstreams have no word for."""
    if UPSTREAM_KIND in kinds:
        raise Skip(f"{UPSTREAM_KIND} has no word for it")


def keyed_url():
    if not KEYED_URL:
        raise Skip("the binary takes no `teams`")
    return KEYED_URL


def equal(found, expected):
    assert found == expected, f"{found!r} is not {expected!r}"


def new_slow():
    """A prompt whose answer takes longer than anyone waits, unlike any other."""
    return f"slow {uuid.uuid4()}"


def upstream_sees_cancelled(prompt):
    """Waits until the upstream noticed that the reader of this prompt's answer went away."""
    until = time.monotonic() + NOTICE_S
    while time.monotonic() < until:
        if prompt in seen("/_cancelled"):
            return
        time.sleep(0.05)
    raise AssertionError(f"the upstream still answered {NOTICE_S}s after its reader went away")


def seen(path):
    with urllib.request.urlopen(UPSTREAM_URL + path) as response:
        return json.load(response)


def raised(kind, call):
    """The error of this kind that a call must end in."""
    try:
        call()
    except Exception as error:
        assert isinstance(error, kind), f"{type(error).__name__} instead of {kind.__name__}: {error}"
        return error
    raise AssertionError(f"no {kind.__name__}")
