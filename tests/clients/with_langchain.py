"""langchain-openai."""

import asyncio
import base64
import hashlib
import os

import openai
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field

import check
from check import MODEL, RIGHT_KEY, WRONG_KEY, equal, raised


def at(url, **options):
    options = {"api_key": RIGHT_KEY, "model": MODEL, **options}
    return ChatOpenAI(base_url=f"{url}/v1", max_retries=0, **options)


client = at(check.URL)


class get_weather(BaseModel):
    """The weather of a city."""

    city: str = Field(description="its name")


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def chat():
    answer = client.invoke("hello there")
    equal(answer.content, "heard: hello there")
    equal(answer.response_metadata["finish_reason"], "stop")
    usage = answer.usage_metadata
    equal((usage["input_tokens"], usage["output_tokens"], usage["input_token_details"]["cache_read"]), (20, 12, 8))


def stream():
    chunks = list(client.stream("hello there"))
    equal("".join(chunk.content for chunk in chunks), "heard: hello there")
    assert 3 <= len(chunks), "it came in one piece"


def streamed_usage():
    counts = [chunk.usage_metadata for chunk in at(check.URL, stream_usage=True).stream("hi") if chunk.usage_metadata]
    equal([(count["input_tokens"], count["output_tokens"]) for count in counts], [(20, 12)])


def tools():
    model = client.bind_tools([get_weather], tool_choice="any")
    answer = model.invoke("tool please")
    call = answer.tool_calls[0]
    equal((call["name"], call["args"]), ("get_weather", {"city": "Paris"}))
    turns = [HumanMessage("tool please"), answer, ToolMessage("12 °C", tool_call_id=call["id"])]
    equal(client.bind_tools([get_weather]).invoke(turns).content, "the tool said: 12 °C")


def streamed_tools():
    whole = None
    for chunk in client.bind_tools([get_weather]).stream("tools please"):
        whole = chunk if whole is None else whole + chunk
    equal([call["args"]["city"] for call in whole.tool_calls], ["Paris", "Oslo"])


def structured_output():
    asking = client.with_structured_output(Person, method="json_schema", strict=True)
    equal(asking.invoke("who?"), Person(name="Ada", age=36))


def n():
    check.not_over("anthropic", "gemini")
    generations = at(check.URL, n=2).generate([[HumanMessage("hello there")]]).generations[0]
    equal([generation.text for generation in generations], ["heard: hello there"] * 2)


def logprobs():
    check.not_over("anthropic", "gemini")
    answer = client.bind(logprobs=True).invoke("hello there")
    tokens = answer.response_metadata["logprobs"]["content"]
    equal("".join(token["token"] for token in tokens), "heard: hello there")


def images_arrive_byte_for_byte():
    image = os.urandom(100_000)
    url = "data:image/png;base64," + base64.b64encode(image).decode()
    parts = [{"type": "text", "text": "image"}, {"type": "image_url", "image_url": {"url": url}}]
    equal(client.invoke([HumanMessage(parts)]).content, hashlib.sha256(image).hexdigest())


def errors():
    raised(openai.BadRequestError, lambda: client.invoke("error 400"))
    limited = raised(openai.RateLimitError, lambda: client.invoke("error 429"))
    equal(limited.response.headers["retry-after"], "7")
    raised(openai.InternalServerError, lambda: client.invoke("error 503"))
    raised(openai.RateLimitError, lambda: list(client.stream("error 429")))


def wrong_key():
    url = check.keyed_url()
    raised(openai.AuthenticationError, lambda: at(url, api_key=WRONG_KEY).invoke("hi"))
    equal(at(url).invoke("hi").content, "heard: hi")


def unknown_model():
    raised(openai.NotFoundError, lambda: at(check.URL, model="nobody").invoke("hi"))


def cancel_in_mid_stream_reaches_the_upstream():
    check.left_in_mid_stream(client.stream, 3)


def a_cancelled_task_reaches_the_upstream():
    prompt = check.new_slow()

    async def ask():
        try:
            await asyncio.wait_for(client.ainvoke(prompt), 1)
        except TimeoutError:
            return
        raise AssertionError("it was answered")

    asyncio.run(ask())
    check.upstream_sees_cancelled(prompt)


def in_parallel():
    texts = [f"caller {number} of many" for number in range(check.N_CALLERS)]
    answers = client.batch(texts, config={"max_concurrency": check.N_CALLERS})
    equal([answer.content for answer in answers], [f"heard: {text}" for text in texts])
    assert all(isinstance(answer, AIMessage) for answer in answers)


if __name__ == "__main__":
    check.run([
        chat, stream, streamed_usage, tools, streamed_tools, structured_output, n, logprobs,
        images_arrive_byte_for_byte, errors, wrong_key, unknown_model, cancel_in_mid_stream_reaches_the_upstream,
        a_cancelled_task_reaches_the_upstream, in_parallel,
    ])
