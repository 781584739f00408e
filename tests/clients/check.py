"""How the scripts of clients are told whom to ask, and how they tell what held: one line a check."""

import json
import os
import time
import traceback
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor

# The server under test, and a second one of the same configuration that asks for keys, where the binary can.
URL = os.environ.get("CLIENT_URL", "")
KEYED_URL = os.environ.get("CLIENT_KEYED_URL", "")
# The scripted upstream behind both.
UPSTREAM_URL = os.environ.get("CLIENT_UPSTREAM_URL", "")
# The format that the upstream is asked in; in another than the client's, less can be said.
UPSTREAM_KIND = os.environ.get("CLIENT_UPSTREAM_KIND", "")
# Whether the server under test is the upstream itself, which shows that a script asks for what is right.
IS_DIRECT = os.environ.get("CLIENT_DIRECT") == "1"

MODEL = "assistant"
RIGHT_KEY = "right-key-of-testers"
WRONG_KEY = "wrong-key-of-nobody"
N_CALLERS = 64

# The upstream has seen by then that nobody reads, on a machine with other work too.
NOTICE_S = 30

# How often it is asked whether something has come to be: often enough that nobody notices the wait, and so seldom that
# asking costs nothing.
LOOK_S = 0.05


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


def left_in_mid_stream(stream, n_pieces):
    """Opens the stream of a long answer, leaves it after some pieces, and waits until the upstream noticed."""
    prompt = new_slow()
    streaming = stream(prompt)
    for _ in range(n_pieces):
        next(streaming)
    streaming.close()
    upstream_sees_cancelled(prompt)


def answered_in_parallel(whole, streamed):
    """Asks in both ways for as many callers as there are, twice: each must hear what it said itself."""
    def one(number):
        ask = whole if number % 2 else streamed
        return ask(f"caller {number} of many")

    with ThreadPoolExecutor(N_CALLERS) as pool:
        for number, found in enumerate(pool.map(one, range(N_CALLERS * 2))):
            equal(found, f"heard: caller {number} of many")


def upstream_sees_cancelled(prompt):
    """Waits until the upstream noticed that the reader of this prompt's answer went away."""
    within(NOTICE_S, "the upstream noticed that its reader went away", lambda: prompt in seen("/_cancelled"))


def within(seconds, what, is_so):
    """Waits until something is so that nobody tells of; it can only be asked for again and again."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, f"not within {seconds}s: {what}"
        time.sleep(LOOK_S)


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
