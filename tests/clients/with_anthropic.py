"""The anthropic package for Python."""

import base64
import hashlib
import os

import anthropic
from pydantic import BaseModel

import check
from check import MODEL, RIGHT_KEY, WRONG_KEY, equal, raised


def at(url, **options):
    return anthropic.Anthropic(base_url=url, api_key=RIGHT_KEY, max_retries=0, **options)


client = at(check.URL)

WEATHER = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class Person(BaseModel):
    name: str
    age: int


def said(content):
    return [{"role": "user", "content": content}]


def asked(content, **options):
    return {"model": MODEL, "max_tokens": 500, "messages": said(content), **options}


def ask(content, **options):
    return client.messages.create(**asked(content, **options))


def chat():
    answer = ask("hello there", system="be brief")
    equal([(block.type, block.text) for block in answer.content], [("text", "heard: hello there")])
    equal((answer.role, answer.stop_reason), ("assistant", "end_turn"))


def stream():
    with client.messages.stream(**asked("hello there")) as streaming:
        pieces = list(streaming.text_stream)
        answer = streaming.get_final_message()
    equal(("".join(pieces), answer.content[0].text, answer.stop_reason), ("heard: hello there",) * 2 + ("end_turn",))
    assert 2 <= len(pieces), "it came in one piece"
    kinds = [event.type for event in ask("hello there", stream=True)]
    equal((kinds[0], kinds[-2:]), ("message_start", ["message_delta", "message_stop"]))


def usage():
    counts = ask("hello there").usage
    equal((counts.input_tokens, counts.cache_read_input_tokens, counts.output_tokens), (12, 8, 12))
    with client.messages.stream(**asked("hello there")) as streaming:
        counts = streaming.get_final_message().usage
    equal((counts.input_tokens, counts.cache_read_input_tokens, counts.output_tokens), (12, 8, 12))


def thinking():
    thought, text = ask("think cats", thinking={"type": "enabled", "budget_tokens": 1024}).content
    equal((thought.thinking, text.text), ("let me think about cats", "thought about cats"))
    with client.messages.stream(**asked("think cats")) as streaming:
        thought, text = streaming.get_final_message().content
    equal((thought.thinking, text.text), ("let me think about cats", "thought about cats"))


def tools():
    answer = ask("tool please", tools=[WEATHER], tool_choice={"type": "any"})
    equal(answer.stop_reason, "tool_use")
    call = answer.content[0]
    equal((call.name, call.input), ("get_weather", {"city": "Paris"}))
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "12 °C"}]}
    turns = [*said("tool please"), {"role": "assistant", "content": answer.content}, *said([result])]
    answer = client.messages.create(**{**asked(""), "messages": turns, "tools": [WEATHER]})
    equal(answer.content[0].text, "the tool said: 12 °C")


def streamed_tools():
    with client.messages.stream(**asked("tools please", tools=[WEATHER])) as streaming:
        pieces = [event.partial_json for event in streaming if event.type == "input_json"]
        calls = streaming.get_final_message().content
    equal([(call.type, call.input) for call in calls], [("tool_use", {"city": city}) for city in ("Paris", "Oslo")])
    # Gemini tells each call in one piece, the others piece by piece.
    assert len(pieces) >= (2 if check.UPSTREAM_KIND == "gemini" else 5), pieces


def structured_output():
    answer = client.messages.parse(**asked("who?"), output_format=Person)
    equal(answer.parsed_output, Person(name="Ada", age=36))


def images_arrive_byte_for_byte():
    image = os.urandom(300_000)
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(image).decode()}
    answer = ask([{"type": "image", "source": source}, {"type": "text", "text": "image"}])
    equal(answer.content[0].text, hashlib.sha256(image).hexdigest())


def errors():
    refused = raised(anthropic.BadRequestError, lambda: ask("error 400"))
    equal((refused.body["type"], refused.body["error"]["type"]), ("error", "invalid_request_error"))
    limited = raised(anthropic.RateLimitError, lambda: ask("error 429"))
    equal(limited.response.headers["retry-after"], "7")
    raised(anthropic.InternalServerError, lambda: ask("error 500"))
    limited = raised(anthropic.RateLimitError, lambda: ask("error 429", stream=True))
    equal(limited.response.headers["retry-after"], "7")


def bad_requests_are_told_in_this_shape():
    check.through_only()
    error = raised(anthropic.BadRequestError, lambda: client.messages.create(model=MODEL, max_tokens=5, messages=[]))
    equal((error.body["type"], error.body["error"]["type"]), ("error", "invalid_request_error"))
    assert "messages" in error.body["error"]["message"], error.body


def wrong_key():
    url = check.keyed_url()
    wrong = at(url).with_options(api_key=WRONG_KEY)
    error = raised(anthropic.AuthenticationError, lambda: wrong.messages.create(**asked("hi")))
    equal(error.body["error"]["type"], "authentication_error")
    equal(at(url).messages.create(**asked("hi")).content[0].text, "heard: hi")


def unknown_model():
    error = raised(anthropic.NotFoundError, lambda: client.messages.create(**{**asked("hi"), "model": "nobody"}))
    equal(error.body["error"]["type"], "not_found_error")


def cancel_in_mid_stream_reaches_the_upstream():
    check.left_in_mid_stream(lambda prompt: ask(prompt, stream=True), 4)


def in_parallel():
    def streamed(text):
        with client.messages.stream(**asked(text)) as streaming:
            return "".join(streaming.text_stream)

    check.answered_in_parallel(lambda text: ask(text).content[0].text, streamed)


if __name__ == "__main__":
    check.run([
        chat, stream, usage, thinking, tools, streamed_tools, structured_output, images_arrive_byte_for_byte, errors,
        bad_requests_are_told_in_this_shape, wrong_key, unknown_model, cancel_in_mid_stream_reaches_the_upstream,
        in_parallel,
    ])
