"""A llama.cpp server behind the binary, against the same server asked directly.

`real_upstream.py BINARY [--server LLAMA_SERVER]`. Without a server it takes the sources from the package
llama-cpp-python, builds one under target/clients/llama (ten minutes) and keeps it. The model has random weights; what
is compared is that both ways say the same, to the byte but for ids and times.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tarfile
import urllib.request
from pathlib import Path

import check

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "target" / "clients" / "llama"
SOURCES = "llama-cpp-python==0.3.36"
TOOLS = ["cmake==4.*", "ninja==1.*", "gguf==0.19.0", "openai==3.54.0"]
KEY = "llama-key"

# Of the chat templates that come with the sources, one whose grammar lets a model begin with nothing but a call of a
# tool: this model would never come to it by itself.
TOOLS_TEMPLATE = "meetkai-functionary-medium-v3.2.jinja"

# What differs between two answers to the same question.
OF_THE_MOMENT = ("id", "created", "timings")


def prepare(given):
    """The server's and the model's files, made where they are not there yet."""
    python = FOLDER / "python" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", FOLDER / "python"], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *TOOLS], check=True)
    sources = next(FOLDER.glob("llama_cpp_python-*/vendor/llama.cpp"), None)
    if sources is None:
        fetch = ["download", "-q", "--no-deps", "--no-binary", SOURCES.split("=")[0], "-d", FOLDER, SOURCES]
        subprocess.run([python, "-m", "pip", *fetch], check=True)
        with tarfile.open(next(FOLDER.glob("*.tar.gz"))) as archive:
            archive.extractall(FOLDER, filter="data")
        sources = next(FOLDER.glob("llama_cpp_python-*/vendor/llama.cpp"))
    server = Path(given) if given else FOLDER / "build" / "bin" / "llama-server"
    if not server.exists():
        build(sources)
    model = FOLDER / "tiny.gguf"
    if not model.exists():
        vocabulary = sources / "models" / "ggml-vocab-gpt-2.gguf"
        subprocess.run([python, HERE / "tiny_model.py", vocabulary, model], check=True)
    return python, server, model, sources / "models" / "templates" / TOOLS_TEMPLATE


def build(sources):
    off = ("LLAMA_BUILD_UI", "LLAMA_USE_PREBUILT_UI", "LLAMA_BUILD_TESTS", "LLAMA_BUILD_EXAMPLES", "LLAMA_BUILD_APP",
           "LLAMA_OPENSSL", "BUILD_SHARED_LIBS", "GGML_NATIVE", "GGML_OPENMP")
    environment = {**os.environ, "PATH": f"{FOLDER / 'python' / 'bin'}:{os.environ['PATH']}"}
    options = ["-DCMAKE_BUILD_TYPE=Release", *(f"-D{name}=OFF" for name in off)]
    quiet = {"env": environment, "check": True, "stdout": subprocess.DEVNULL}
    subprocess.run(["cmake", "-S", sources, "-B", FOLDER / "build", "-G", "Ninja", *options], **quiet)
    subprocess.run(["cmake", "--build", FOLDER / "build", "--target", "llama-server"], **quiet)


def start(server, model, *template):
    """Runs the server until it is ready, and tells where."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [server, "-m", model, "--host", "127.0.0.1", "--port", str(port), "--api-key", KEY]
    command += ["--jinja", "--ctx-size", "8192", "--parallel", "4", "--threads", "1", "--slots"]
    command += template
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"

    def is_ready():
        assert process.poll() is None, "the llama.cpp server ended"
        try:
            urllib.request.urlopen(f"{url}/health").close()
        except OSError:
            return False
        return True

    check.within(60, "the llama.cpp server is ready", is_ready)
    return process, url


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", type=lambda path: str(Path(path).resolve()))
    parser.add_argument("--server")
    arguments = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    python, *files = prepare(arguments.server)
    if Path(sys.executable) != python:
        # The rest needs the packages that were just installed.
        os.execv(python, [python, __file__, *sys.argv[1:]])
    compare(arguments.binary, *files)


def compare(binary, server, model, tools_template):
    import openai

    from binary import Server
    from check import equal, raised

    llama, url = start(server, model, "--chat-template", "chatml")
    calling, calling_url = start(server, model, "--chat-template-file", tools_template)

    def config(key):
        return f"""
providers:
  llama: {{ kind: openai, base_url: "{url}/v1", api_key: env:{key} }}
  calling: {{ kind: openai, base_url: "{calling_url}/v1", api_key: env:{key} }}
models: {{ tiny: {{ provider: llama }}, calling: {{ provider: calling }} }}
assistants:
  assistant: {{ routes: [{{ name: only, to: tiny }}] }}
  calling: {{ routes: [{{ name: only, to: calling }}] }}
"""

    gateway = Server(binary, config("LLAMA_KEY"), {"LLAMA_KEY": KEY})
    direct = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
    directly_calling = direct.with_options(base_url=f"{calling_url}/v1")
    through = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0)
    person = {"type": "object", "properties": {"sure": {"type": "boolean"}, "age": {"enum": [1, 2]}}, "required": ["sure", "age"]}
    tool = {"type": "function", "function": {"name": "judge", "parameters": {**person, "additionalProperties": False}}}

    calling_options = {"model": "calling", "tools": [tool], "tool_choice": "required", "max_tokens": 100}

    def ask(client, **options):
        fixed = {"model": "assistant", "temperature": 0, "seed": 1, "max_tokens": 12, "extra_body": {"cache_prompt": False}}
        return client.chat.completions.create(**{**fixed, "messages": said("tell me about the sea"), **options})

    def said(text):
        return [{"role": "user", "content": text}]

    def plain(answer):
        return without(answer.to_dict())

    def without(value):
        """A value without what is of the moment, at any depth: calls of tools have ids too."""
        if isinstance(value, list):
            return [without(inner) for inner in value]
        if not isinstance(value, dict):
            return value
        return {name: without(inner) for name, inner in value.items() if name not in OF_THE_MOMENT}

    def both(**options):
        """The same from both, and what it is."""
        clients = (directly_calling if options.get("model") == "calling" else direct, through)
        if options.get("stream"):
            answers = [[plain(chunk) for chunk in ask(client, **options)] for client in clients]
        else:
            answers = [plain(ask(client, **options)) for client in clients]
        equal(answers[1], answers[0])
        return answers[1]

    def show(what, value):
        print(f"{what}: {json.dumps(value, ensure_ascii=False)[:150]}")

    def chat():
        answer = both()
        show("said", answer["choices"][0]["message"]["content"])
        show("usage", answer["usage"])

    def stream():
        chunks = both(stream=True, stream_options={"include_usage": True})
        show("pieces", [chunk["choices"][0]["delta"].get("content") for chunk in chunks if chunk["choices"]][1:6])
        show("usage", chunks[-1]["usage"])

    def several_choices_and_logprobs():
        answer = both(n=2, logprobs=True, top_logprobs=2, max_tokens=3)
        equal(len(answer["choices"]), 2)
        token = answer["choices"][1]["logprobs"]["content"][0]
        show("token", [token["token"], token["logprob"]])

    def structured_output():
        form = {"type": "json_schema", "json_schema": {"name": "person", "schema": person}}
        answer = json.loads(both(response_format=form, max_tokens=60)["choices"][0]["message"]["content"])
        assert set(answer) == {"sure", "age"}, answer
        show("said", answer)

    def tools():
        choice = both(**calling_options)["choices"][0]
        equal(choice["finish_reason"], "tool_calls")
        show("called", choice["message"]["tool_calls"][0]["function"])

    def streamed_tools():
        chunks = both(**calling_options, stream=True)
        deltas = [chunk["choices"][0]["delta"].get("tool_calls") for chunk in chunks if chunk["choices"]]
        pieces = [delta[0]["function"].get("arguments", "") for delta in deltas if delta]
        show("pieces", pieces)
        assert 4 < len(pieces), pieces

    def refusals_in_the_servers_own_words():
        for options in [{"messages": said("word " * 9000)}, {"n": 0}, {"response_format": {"type": "foo"}}]:
            told = [raised(openai.BadRequestError, lambda client=client: ask(client, **options)) for client in (direct, through)]
            equal(told[1].body, told[0].body)
            show("refused", told[1].body)

    def a_key_that_the_server_refuses_is_no_fault_of_the_caller():
        other = Server(binary, config("WRONG"), {"WRONG": "wrong"})
        client = openai.OpenAI(base_url=f"{other.url}/v1", api_key="any", max_retries=0)
        raised(openai.AuthenticationError, lambda: ask(direct.with_options(api_key="wrong")))
        error = raised(openai.InternalServerError, lambda: ask(client))
        show("told", [error.status_code, error.body["message"]])
        other.stop()

    def cancel_in_mid_stream_stops_the_server():
        streaming = ask(through, stream=True, max_tokens=3000)
        next(streaming)
        equal(busy(), 1)
        streaming.close()
        check.within(10, "the server works on nothing any more", lambda: busy() == 0)

    def busy():
        request = urllib.request.Request(f"{url}/slots", headers={"authorization": f"Bearer {KEY}"})
        with urllib.request.urlopen(request) as response:
            return sum(slot["is_processing"] for slot in json.load(response))

    try:
        check.run([
            chat, stream, several_choices_and_logprobs, structured_output, tools, streamed_tools,
            refusals_in_the_servers_own_words, a_key_that_the_server_refuses_is_no_fault_of_the_caller,
            cancel_in_mid_stream_stops_the_server,
        ])
    finally:
        gateway.stop()
        llama.terminate()
        calling.terminate()


if __name__ == "__main__":
    main()
