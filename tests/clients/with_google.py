"""The google-genai package, which shows that the scripted upstream speaks Gemini. The binary does not, to clients."""

import hashlib
import os

from google import genai
from google.genai import errors, types
from pydantic import BaseModel

import check
from check import MODEL, RIGHT_KEY, WRONG_KEY, equal, raised


def at(url, key=RIGHT_KEY):
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url))


client = at(check.URL)

WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather",
            parameters=types.Schema(type="OBJECT", properties={"city": types.Schema(type="STRING")}),
        )
    ]
)


class Person(BaseModel):
    name: str
    age: int


def ask(contents, over=client, **config):
    return over.models.generate_content(model=MODEL, contents=contents, config=types.GenerateContentConfig(**config))


def streamed(contents, **config):
    config = types.GenerateContentConfig(**config)
    return list(client.models.generate_content_stream(model=MODEL, contents=contents, config=config))


def chat():
    answer = ask("hello there", system_instruction="be brief")
    equal((answer.text, answer.candidates[0].finish_reason), ("heard: hello there", types.FinishReason.STOP))


def stream():
    chunks = streamed("hello there")
    equal("".join(chunk.text for chunk in chunks), "heard: hello there")
    equal((len(chunks), chunks[-1].candidates[0].finish_reason), (3, types.FinishReason.STOP))


def thinking_and_usage():
    answer = ask("think cats")
    thought, text = answer.candidates[0].content.parts
    equal((thought.thought, thought.text, text.text), (True, "let me think about cats", "thought about cats"))
    usage = answer.usage_metadata
    equal((usage.candidates_token_count, usage.thoughts_token_count, usage.cached_content_token_count), (7, 5, 8))


def tools():
    for answer in (ask("tools please", tools=[WEATHER]), *streamed("tool please", tools=[WEATHER])):
        equal(answer.function_calls[0].args, {"city": "Paris"})
    call = types.Part(function_call=answer.function_calls[0])
    result = types.Part.from_function_response(name="get_weather", response={"result": "12 °C"})
    turns = [types.UserContent("tool please"), types.ModelContent(call), types.UserContent(result)]
    equal(ask(turns, tools=[WEATHER]).text, "the tool said: 12 °C")


def structured_output():
    answer = ask("who?", response_mime_type="application/json", response_schema=Person)
    equal(answer.parsed, Person(name="Ada", age=36))


def n_and_logprobs():
    answer = ask("hello there", candidate_count=2, response_logprobs=True)
    equal(len(answer.candidates), 2)
    equal(answer.candidates[1].logprobs_result.chosen_candidates[0].token, "heard: ")


def images_arrive_byte_for_byte():
    image = os.urandom(100_000)
    answer = ask([types.Part.from_bytes(data=image, mime_type="image/png"), "image"])
    equal(answer.text, hashlib.sha256(image).hexdigest())


def errors_():
    equal(raised(errors.ClientError, lambda: ask("error 400")).code, 400)
    limited = raised(errors.ClientError, lambda: ask("error 429"))
    equal((limited.status, limited.details["error"]["details"][0]["retryDelay"]), ("RESOURCE_EXHAUSTED", "7s"))
    equal(raised(errors.ServerError, lambda: ask("error 503")).status, "UNAVAILABLE")
    equal(raised(errors.ClientError, lambda: ask("hi", over=at(check.URL, WRONG_KEY))).code, 401)


if __name__ == "__main__":
    check.run([
        chat, stream, thinking_and_usage, tools, structured_output, n_and_logprobs, images_arrive_byte_for_byte, errors_,
    ])
