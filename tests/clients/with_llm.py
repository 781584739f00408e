"""The command `llm`, with a model configured as OpenAI-compatible."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import check
from check import MODEL, RIGHT_KEY, WRONG_KEY, equal

COMMAND = Path(sys.executable).with_name("llm")

# It starts an interpreter for each call; so many at once are what a small machine bears.
N_AT_ONCE = 8

FOLDER = tempfile.TemporaryDirectory()

WEATHER = """
def get_weather(city: str) -> str:
    "The weather of a city."
    return f"12 °C in {city}"
"""


def configure():
    """Three names: the assistant, one that nobody has, and the assistant of the server that asks for keys."""
    models = []
    for model_id, name, url in [
        ("assistant", MODEL, check.URL),
        ("nobody", "nobody", check.URL),
        ("keyed", MODEL, check.KEYED_URL),
    ]:
        models.append(
            f"- {{ model_id: {model_id}, model_name: {name}, api_base: '{url}/v1', api_key_name: test,"
            " supports_tools: true, supports_schema: true, vision: true }"
        )
    Path(FOLDER.name, "extra-openai-models.yaml").write_text("\n".join(models))
    key(RIGHT_KEY)


def key(value):
    Path(FOLDER.name, "keys.json").write_text(json.dumps({"test": value}))


def start(*arguments):
    environment = {**os.environ, "LLM_USER_PATH": FOLDER.name, "PYTHONUNBUFFERED": "1"}
    command = [COMMAND, "prompt", "--no-log", *arguments]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, **pipes)


def ask(*arguments, model="assistant"):
    process = start("-m", model, *arguments)
    output, complaint = process.communicate(timeout=60)
    return process.returncode, output.strip(), complaint


def answered(*arguments, **options):
    code, output, complaint = ask(*arguments, **options)
    assert code == 0, complaint
    return output


def chat():
    equal(answered("--no-stream", "hello there"), "heard: hello there")


def stream():
    equal(answered("hello there", "-s", "be brief"), "heard: hello there")


def usage():
    code, output, complaint = ask("--no-stream", "-u", "hello there")
    assert code == 0 and "20 input" in complaint and "12 output" in complaint, complaint


def tools():
    equal(answered("--no-stream", "--functions", WEATHER, "tool please"), "the tool said: 12 °C in Paris")


def streamed_tools():
    equal(answered("--functions", WEATHER, "tool please"), "the tool said: 12 °C in Paris")


def structured_output():
    equal(json.loads(answered("--schema", "name, age int", "who?")), {"name": "Ada", "age": 36})


def errors():
    for status, word in [(400, "this is not to be asked"), (429, "429"), (503, "50")]:
        code, _, complaint = ask("-o", "max_tokens", "5", f"error {status}")
        assert code != 0 and word in complaint, complaint


def wrong_key():
    check.keyed_url()
    key(WRONG_KEY)
    try:
        code, _, complaint = ask("hi", model="keyed")
        assert code != 0 and "401" in complaint, complaint
    finally:
        key(RIGHT_KEY)
    equal(answered("hi", model="keyed"), "heard: hi")


def unknown_model():
    code, _, complaint = ask("hi", model="nobody")
    assert code != 0 and "404" in complaint, complaint


def cancel_in_mid_stream_reaches_the_upstream():
    prompt = check.new_slow()
    process = start("-m", "assistant", prompt)
    process.stdout.read(10)
    process.send_signal(signal.SIGINT)
    check.upstream_sees_cancelled(prompt)
    process.communicate(timeout=30)


def in_parallel():
    texts = [f"caller {number} of many" for number in range(N_AT_ONCE)]
    with ThreadPoolExecutor(N_AT_ONCE) as pool:
        equal(list(pool.map(answered, texts)), [f"heard: {text}" for text in texts])


if __name__ == "__main__":
    configure()
    check.run([
        chat, stream, usage, tools, streamed_tools, structured_output, errors, wrong_key, unknown_model,
        cancel_in_mid_stream_reaches_the_upstream, in_parallel,
    ])
