"""The binary with its simulated models, asked as a client would: with the openai package, over HTTP.

`smoke.py BINARY`; it shows what routing, cascades and the encoder do, where the other scripts here show that clients
cannot tell the server from a provider.
"""

import json
import statistics
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import openai

import check
from binary import Server

server = Server(sys.argv[1])
client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none-is-asked-for", max_retries=0)


def get(path):
    with urllib.request.urlopen(server.url + path) as response:
        return response.read().decode()


def post(path, body):
    request = urllib.request.Request(server.url + path, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def is_healthy():
    assert get("/healthz") == "ok\n"


def chats_and_streams():
    for prompt, target in [
        ("hi there! how's your day going?", "small"),
        ("Write a Python function that merges two sorted lists", "coder"),
        ("What is the integral of x squared from 0 to 3? Show each step", "frontier"),
    ]:
        raw = client.chat.completions.with_raw_response.create(
            model="assistant", messages=[{"role": "user", "content": prompt}]
        )
        answer = raw.parse()
        assert raw.headers["x-semroute-target"] == target, (prompt, dict(raw.headers))
        assert "simulated" in answer.choices[0].message.content
        print(f"{raw.headers['x-semroute-intent']:38} {raw.headers['x-semroute-route']:10} -> {target}")
    stream = client.chat.completions.create(
        model="assistant", stream=True, messages=[{"role": "user", "content": "good morning!"}]
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert "simulated" in text, text
    print("streamed:", text[:60])


def escalates():
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "number"}},
        "required": ["name", "age"],
    }
    raw = client.chat.completions.with_raw_response.create(
        model="assistant",
        messages=[{"role": "user", "content": "Extract the name and the email address from this signature: Anna Meier, Head of Sales, anna@example.org"}],
        response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": schema}},
    )
    answer = json.loads(raw.parse().choices[0].message.content)
    assert isinstance(answer["age"], (int, float)) and isinstance(answer["name"], str)
    for name in ["route", "target", "attempts", "escalations", "failovers", "verdict", "cost-usd"]:
        print(f"x-semroute-{name}: {raw.headers[f'x-semroute-{name}']}")
    assert raw.headers["x-semroute-target"] == "frontier" and raw.headers["x-semroute-escalations"] == "1"
    lines = [line for line in get("/metrics").splitlines() if line.startswith("semroute_escalation")]
    print("\n".join(lines))
    assert any(line.startswith("semroute_escalations_total{") and line.endswith(" 1") for line in lines), lines


def errors_are_exceptions():
    try:
        client.chat.completions.create(model="nobody", messages=[{"role": "user", "content": "hi"}])
        raise SystemExit("an unknown model was answered")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found", error
    try:
        client.chat.completions.create(model="assistant", messages=[])
        raise SystemExit("an empty conversation was answered")
    except openai.BadRequestError as error:
        assert error.param == "messages", error


def embeds():
    model = next(model.id for model in client.models.list() if model.id != "assistant")
    vectors = client.embeddings.create(model=model, input=["a cat sleeps", "a kitten naps", "SELECT 1"]).data
    cosine = lambda a, b: sum(x * y for x, y in zip(vectors[a].embedding, vectors[b].embedding))
    assert cosine(0, 2) + 0.2 < cosine(0, 1)


def many_at_once(n_callers=64, n_prompts=512):
    words = "explain compare draft rank fix translate count why how which plan list sort the a our new old map log".split()
    prompts = [" ".join(words[(i * 7 + j * (i % 5 + 1)) % len(words)] for j in range(12)) + f" {i}" for i in range(n_prompts)]

    def ask(prompt):
        began = time.perf_counter()
        decision = post("/v1/route", {"text": prompt})
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


def records_say_why():
    records = server.stop()
    escalated = [record for record in records if record["escalations"]]
    assert len(escalated) == 1 and escalated[0]["simulated"], escalated
    fault = escalated[0]["escalations"][0]
    print("record:", json.dumps(fault))
    assert fault["reason"] == "json_schema" and fault["fault"]["keyword"]


if __name__ == "__main__":
    # The last one stops the server.
    check.run([is_healthy, chats_and_streams, escalates, errors_are_exceptions, embeds, many_at_once, records_say_why])
