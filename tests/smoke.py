"""Starts the binary and asks it as a client would: with the openai SDK, over HTTP.

Usage: smoke.py BINARY. Needs the package openai. Everything runs on loopback.
"""

import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import openai

ANY_KEY = "none-is-asked-for"


class Server:
    """The binary on a free port."""

    def __init__(self, binary, *arguments):
        command = [binary, "serve", "--listen", "127.0.0.1:0", *arguments]
        self.records = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(command, stdout=self.records, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            found = re.search(r"listens on (http://\S+)", line)
            if found:
                self.url = found.group(1)
                break
        else:
            raise SystemExit("the server did not start")
        # Its later lines must be read, or it would wait for a reader some day.
        threading.Thread(target=lambda: [None for _ in self.process.stderr], daemon=True).start()
        self.client = openai.OpenAI(base_url=f"{self.url}/v1", api_key=ANY_KEY, max_retries=0)

    def get(self, path):
        with urllib.request.urlopen(self.url + path) as response:
            return response.read().decode()

    def post(self, path, body):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    def stop(self):
        """Ends it as a supervisor would, and returns its records."""
        self.process.terminate()
        code = self.process.wait(timeout=30)
        assert code == 0, f"exit code {code}"
        self.records.seek(0)
        return [json.loads(line) for line in self.records]


class Upstream(BaseHTTPRequestHandler):
    """Another server that speaks OpenAI's chat completions, whole and streamed."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said = f"{request['model']} heard: {request['messages'][-1]['content']}"
        base = {"id": "up-1", "created": 1, "model": request["model"]}
        if not request.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
            body = json.dumps({**base, "object": "chat.completion", "choices": [choice], "usage": usage})
            return self.reply("application/json", body)
        events = []
        for word in said.split(" "):
            choice = {"index": 0, "delta": {"content": word + " "}, "finish_reason": None}
            events.append({**base, "object": "chat.completion.chunk", "choices": [choice]})
        events.append({**base, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        return self.reply("text/event-stream", body)

    def reply(self, kind, body):
        data = body.encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def chats_and_streams(server):
    for prompt, target in [
        ("hi there! how's your day going?", "small"),
        ("Write a Python function that merges two sorted lists", "coder"),
        ("What is the integral of x squared from 0 to 3? Show each step", "frontier"),
    ]:
        raw = server.client.chat.completions.with_raw_response.create(
            model="assistant", messages=[{"role": "user", "content": prompt}]
        )
        answer = raw.parse()
        assert raw.headers["x-semroute-target"] == target, (prompt, dict(raw.headers))
        assert "simulated" in answer.choices[0].message.content
        print(f"{raw.headers['x-semroute-intent']:38} {raw.headers['x-semroute-route']:10} -> {target}")
    stream = server.client.chat.completions.create(
        model="assistant", stream=True, messages=[{"role": "user", "content": "good morning!"}]
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert "simulated" in text, text
    print("streamed:", text[:60])


def escalates(server):
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "number"}},
        "required": ["name", "age"],
    }
    raw = server.client.chat.completions.with_raw_response.create(
        model="assistant",
        messages=[{"role": "user", "content": "Extract the name and the email address from this signature: Anna Meier, Head of Sales, anna@example.org"}],
        response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": schema}},
    )
    answer = json.loads(raw.parse().choices[0].message.content)
    assert isinstance(answer["age"], (int, float)) and isinstance(answer["name"], str)
    for name in ["route", "target", "attempts", "escalations", "failovers", "verdict", "cost-usd"]:
        print(f"x-semroute-{name}: {raw.headers[f'x-semroute-{name}']}")
    assert raw.headers["x-semroute-target"] == "frontier" and raw.headers["x-semroute-escalations"] == "1"
    lines = [line for line in server.get("/metrics").splitlines() if line.startswith("semroute_escalation")]
    print("\n".join(lines))
    assert any(line.startswith("semroute_escalations_total{") and line.endswith(" 1") for line in lines), lines


def errors_are_exceptions(server):
    try:
        server.client.chat.completions.create(model="nobody", messages=[{"role": "user", "content": "hi"}])
        raise SystemExit("an unknown model was answered")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found", error
    try:
        server.client.chat.completions.create(model="assistant", messages=[])
        raise SystemExit("an empty conversation was answered")
    except openai.BadRequestError as error:
        assert error.param == "messages", error


def embeds(server):
    model = next(model.id for model in server.client.models.list() if model.id != "assistant")
    vectors = server.client.embeddings.create(model=model, input=["a cat sleeps", "a kitten naps", "SELECT 1"]).data
    cosine = lambda a, b: sum(x * y for x, y in zip(vectors[a].embedding, vectors[b].embedding))
    assert cosine(0, 2) + 0.2 < cosine(0, 1)


def many_at_once(server, n_callers=64, n_prompts=512):
    words = "explain compare draft rank fix translate count why how which plan list sort the a our new old map log".split()
    prompts = [" ".join(words[(i * 7 + j * (i % 5 + 1)) % len(words)] for j in range(12)) + f" {i}" for i in range(n_prompts)]

    def ask(prompt):
        began = time.perf_counter()
        decision = server.post("/v1/route", {"text": prompt})
        return (time.perf_counter() - began) * 1e3, decision

    with ThreadPoolExecutor(n_callers) as pool:
        answers = list(pool.map(ask, prompts))
    times = sorted(time for time, _ in answers)
    saturated = sum(decision["reason"] == "encoder_saturated" for _, decision in answers)
    batches = [decision["text"]["batch_size"] for _, decision in answers if decision["text"]]
    print(
        f"{n_callers} callers, {n_prompts} distinct prompts: p50 {statistics.median(times):.1f} ms, "
        f"p99 {times[int(len(times) * 0.99)]:.1f} ms; batch mean {statistics.mean(batches):.1f}, "
        f"max {max(batches)}; saturated {saturated}"
    )
    # How many wait too long depends on the machine; that each gets a decision does not.
    assert all(decision["route"] for _, decision in answers)


def passes_through(binary):
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    config = f"""
providers:
  local: {{ kind: openai, base_url: "http://127.0.0.1:{upstream.server_port}/v1" }}
models:
  llama: {{ provider: local, name: llama-real, price: {{ input: 1, output: 2 }} }}
assistants:
  assistant:
    routes:
      - {{ name: only, to: llama }}
"""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "semroute.yaml"
        path.write_text(config)
        server = Server(binary, "--config", str(path))
        ask = {"model": "assistant", "messages": [{"role": "user", "content": "hello"}]}
        whole = server.client.chat.completions.create(**ask)
        assert whole.choices[0].message.content == "llama-real heard: hello", whole
        stream = server.client.chat.completions.create(**ask, stream=True)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        assert text.strip() == "llama-real heard: hello", text
        print("through another server:", text.strip())
        server.stop()
    upstream.shutdown()


def main(binary):
    server = Server(binary)
    assert server.get("/healthz") == "ok\n"
    chats_and_streams(server)
    escalates(server)
    errors_are_exceptions(server)
    embeds(server)
    many_at_once(server)
    records = server.stop()
    escalated = [record for record in records if record["escalations"]]
    assert len(escalated) == 1 and escalated[0]["simulated"], escalated
    fault = escalated[0]["escalations"][0]
    print("record:", json.dumps(fault))
    assert fault["reason"] == "json_schema" and fault["fault"]["keyword"]
    passes_through(binary)
    print("smoke test passed")


if __name__ == "__main__":
    main(sys.argv[1])
