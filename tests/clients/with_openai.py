"""The openai package for Python."""

import base64
import hashlib
import json
import os

import openai
from pydantic import BaseModel

import check
from check import MODEL, RIGHT_KEY, WRONG_KEY, equal, raised


def at(url, **options):
    return openai.OpenAI(base_url=f"{url}/v1", api_key=RIGHT_KEY, max_retries=0, **options)


client = at(check.URL)

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Person(BaseModel):
    name: str
    age: int


def said(text):
    return [{"role": "user", "content": text}]


def ask(text, **options):
    return client.chat.completions.create(model=MODEL, messages=said(text), **options)


def chat():
    answer = ask("hello there")
    equal(answer.choices[0].message.content, "heard: hello there")
    equal(answer.choices[0].finish_reason, "stop")


def stream():
    chunks = list(ask("hello there", stream=True))
    equal("".join(chunk.choices[0].delta.content or "" for chunk in chunks), "heard: hello there")
    equal(chunks[-1].choices[0].finish_reason, "stop")
    assert 3 <= len(chunks), "it came in one piece"


def a_stream_has_usage_only_if_asked_for():
    # The first list holds no piece without choices, or `stream` would have failed.
    assert all(chunk.choices and not chunk.usage for chunk in ask("hello there", stream=True))
    last = list(ask("hello there", stream=True, stream_options={"include_usage": True}))[-1]
    equal((last.choices, last.usage.prompt_tokens, last.usage.completion_tokens), ([], 20, 12))


def usage_tells_cached_and_reasoning_tokens():
    usage = ask("think cats").usage
    equal((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (20, 12, 32))
    equal(usage.prompt_tokens_details.cached_tokens, 8)
    if check.UPSTREAM_KIND != "anthropic":
        # There thoughts are counted with the rest.
        equal(usage.completion_tokens_details.reasoning_tokens, 5)


def reasoning_content():
    equal(ask("think cats").choices[0].message.reasoning_content, "let me think about cats")
    deltas = [chunk.choices[0].delta for chunk in ask("think cats", stream=True)]
    equal("".join(getattr(delta, "reasoning_content", "") for delta in deltas), "let me think about cats")


def tools():
    answer = ask("tool please", tools=[WEATHER], tool_choice="required").choices[0]
    equal(answer.finish_reason, "tool_calls")
    call = answer.message.tool_calls[0]
    equal((call.function.name, json.loads(call.function.arguments)), ("get_weather", {"city": "Paris"}))
    turns = [*said("tool please"), answer.message, {"role": "tool", "tool_call_id": call.id, "content": "12 °C"}]
    answer = client.chat.completions.create(model=MODEL, messages=turns, tools=[WEATHER])
    equal(answer.choices[0].message.content, "the tool said: 12 °C")


def parallel_tools():
    calls = ask("tools please", tools=[WEATHER], parallel_tool_calls=True).choices[0].message.tool_calls
    equal([json.loads(call.function.arguments)["city"] for call in calls], ["Paris", "Oslo"])


def streamed_tools():
    with client.chat.completions.stream(model=MODEL, messages=said("tools please"), tools=[WEATHER]) as streaming:
        kinds = [event.type for event in streaming]
        message = streaming.get_final_completion().choices[0].message
    # Gemini tells each call in one piece, the others piece by piece.
    assert kinds.count("tool_calls.function.arguments.delta") >= (2 if check.UPSTREAM_KIND == "gemini" else 3), kinds
    calls = message.tool_calls
    equal([json.loads(call.function.arguments)["city"] for call in calls], ["Paris", "Oslo"])
    equal([call.id for call in calls], ["call_paris", "call_oslo"])


def structured_output():
    answer = client.chat.completions.parse(model=MODEL, messages=said("who?"), response_format=Person)
    equal(answer.choices[0].message.parsed, Person(name="Ada", age=36))


def streamed_structured_output():
    with client.chat.completions.stream(model=MODEL, messages=said("who?"), response_format=Person) as streaming:
        equal(streaming.get_final_completion().choices[0].message.parsed, Person(name="Ada", age=36))


def refused_where_it_cannot_be_said(**options):
    """Whether the upstream's format has no word for an option; that the server says so is checked then."""
    if check.UPSTREAM_KIND in ("anthropic", "gemini"):
        error = raised(openai.BadRequestError, lambda: ask("hello there", **options))
        equal((error.code, error.param), ("unsupported_by_provider", next(iter(options))))
        return True
    return False


def n():
    if refused_where_it_cannot_be_said(n=2):
        return
    answer = ask("hello there", n=2)
    equal([choice.message.content for choice in answer.choices], ["heard: hello there"] * 2)
    texts = ["", ""]
    for chunk in ask("hello there", n=2, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    equal(texts, ["heard: hello there"] * 2)


def logprobs():
    if refused_where_it_cannot_be_said(logprobs=True):
        return
    tokens = ask("hello there", logprobs=True, top_logprobs=1).choices[0].logprobs.content
    equal([(token.token, token.logprob) for token in tokens], [("heard: ", -0.25), ("hello ", -0.25), ("there", -0.25)])
    pieces = [chunk.choices[0].logprobs for chunk in ask("hello there", logprobs=True, stream=True)]
    equal("".join(piece.content[0].token for piece in pieces if piece), "heard: hello there")


def images_arrive_byte_for_byte():
    images = [os.urandom(300_000), bytes(range(256))]
    parts = [{"type": "text", "text": "image"}]
    for image in images:
        url = "data:image/png;base64," + base64.b64encode(image).decode()
        parts.append({"type": "image_url", "image_url": {"url": url, "detail": "high"}})
    answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": parts}])
    equal(answer.choices[0].message.content, " ".join(hashlib.sha256(image).hexdigest() for image in images))


def fields_nobody_knows_arrive_and_come_back():
    check.not_over("anthropic", "gemini")
    sent = {"future": {"x": 1.0, "big": 12345678901234567890}, "seed": 7, "stop": ["\n"], "metadata": {"a": "é"}}
    answer = ask("echo", extra_body=sent)
    arrived = json.loads(answer.choices[0].message.content)
    equal({name: arrived[name] for name in sent}, sent)
    equal(arrived["messages"], said("echo"))
    equal(answer.future_field, {"kept": 1.0, "text": "é"})
    equal(next(iter(ask("hi", stream=True))).future_field, {"kept": 1.0})


def errors():
    refused = raised(openai.BadRequestError, lambda: ask("error 400"))
    assert "not to be asked" in refused.message, refused
    if check.UPSTREAM_KIND in ("", "openai"):
        equal((refused.code, refused.param), ("mock_refusal", "messages"))
    limited = raised(openai.RateLimitError, lambda: ask("error 429"))
    equal(limited.response.headers["retry-after"], "7")
    raised(openai.InternalServerError, lambda: ask("error 500"))
    busy = raised(openai.InternalServerError, lambda: ask("error 503"))
    equal(busy.response.headers["retry-after"], "3")
    # An error before the first piece of a stream is an error like any other.
    limited = raised(openai.RateLimitError, lambda: ask("error 429", stream=True))
    equal(limited.response.headers["retry-after"], "7")


def errors_of_the_configuration_are_not_blamed_on_the_caller():
    check.through_only()
    for status in (401, 403, 404):
        error = raised(openai.InternalServerError, lambda status=status: ask(f"error {status}"))
        equal((error.status_code, error.code), (502, "upstream_unavailable"))


def bad_requests_name_the_field():
    check.through_only()
    error = raised(openai.BadRequestError, lambda: client.chat.completions.create(model=MODEL, messages=[]))
    equal((error.param, error.type), ("messages", "invalid_request_error"))


def a_body_past_the_limit_is_told_while_it_is_sent():
    check.through_only()
    error = raised(openai.APIStatusError, lambda: ask("long " * (8 * 1024 * 1024)))
    equal((error.status_code, error.code), (413, "request_too_large"))


def wrong_key():
    url = check.keyed_url()
    before = check.seen("/_calls")
    wrong = at(url).with_options(api_key=WRONG_KEY)
    error = raised(openai.AuthenticationError, lambda: wrong.chat.completions.create(model=MODEL, messages=said("hi")))
    equal(error.code, "invalid_api_key")
    if not check.IS_DIRECT:
        equal(check.seen("/_calls"), before)
        raised(openai.AuthenticationError, wrong.models.list)
    answer = at(url).chat.completions.create(model=MODEL, messages=said("hi"))
    equal(answer.choices[0].message.content, "heard: hi")


def unknown_model():
    error = raised(openai.NotFoundError, lambda: client.chat.completions.create(model="nobody", messages=said("hi")))
    equal((error.code, error.param), ("model_not_found", "model"))


def models():
    check.through_only()
    assert MODEL in [model.id for model in client.models.list()]


def cancel_in_mid_stream_reaches_the_upstream():
    check.left_in_mid_stream(lambda prompt: ask(prompt, stream=True), 3)


def cancel_of_a_whole_answer_reaches_the_upstream():
    prompt = check.new_slow()
    impatient = at(check.URL, timeout=1)
    raised(openai.APITimeoutError, lambda: impatient.chat.completions.create(model=MODEL, messages=said(prompt)))
    check.upstream_sees_cancelled(prompt)


def in_parallel():
    def streamed(text):
        return "".join(chunk.choices[0].delta.content or "" for chunk in ask(text, stream=True))

    check.answered_in_parallel(lambda text: ask(text).choices[0].message.content, streamed)


def headers_say_who_answered():
    check.through_only()
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=said("hi"))
    equal((raw.headers["x-semroute-target"], raw.headers["x-semroute-attempts"]), ("mock-model", "1"))
    assert raw.headers["x-request-id"] == raw.parse()._request_id


if __name__ == "__main__":
    check.run([
        chat, stream, a_stream_has_usage_only_if_asked_for, usage_tells_cached_and_reasoning_tokens, reasoning_content,
        tools, parallel_tools, streamed_tools, structured_output, streamed_structured_output, n, logprobs,
        images_arrive_byte_for_byte, fields_nobody_knows_arrive_and_come_back, errors,
        errors_of_the_configuration_are_not_blamed_on_the_caller, bad_requests_name_the_field,
        a_body_past_the_limit_is_told_while_it_is_sent, wrong_key, unknown_model,
        models, cancel_in_mid_stream_reaches_the_upstream, cancel_of_a_whole_answer_reaches_the_upstream, in_parallel,
        headers_say_who_answered,
    ])
