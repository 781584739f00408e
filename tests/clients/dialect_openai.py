"""OpenAI's chat completions, as the scripted upstream speaks them."""

import base64
import json

from scene import Asked

STREAM_END = "data: [DONE]\n\n"


def answers(path):
    return path == "/v1/chat/completions"


def read(body, _headers, _path):
    request = json.loads(body)
    last = request["messages"][-1]
    parts = last["content"] if isinstance(last["content"], list) else [{"type": "text", "text": last["content"] or ""}]
    said = "".join(part["text"] for part in parts if part["type"] == "text")
    images = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    form = request.get("response_format") or {}
    return Asked(
        body=body,
        model=request["model"],
        said=said,
        stream=bool(request.get("stream")),
        images=[base64.b64decode(url.partition(";base64,")[2]) for url in images],
        tools=[tool["function"]["name"] for tool in request.get("tools") or []],
        tool_result=said if last["role"] == "tool" else None,
        schema=form["json_schema"]["schema"] if form.get("type") == "json_schema" else None,
        n=request.get("n") or 1,
        logprobs=bool(request.get("logprobs")),
        usage_wanted=bool((request.get("stream_options") or {}).get("include_usage")),
    )


def whole(scene, asked):
    choices = []
    for index in range(asked.n):
        message = {"role": "assistant", "content": scene.text or None, "refusal": None}
        if scene.thought:
            message["reasoning_content"] = scene.thought
        if scene.calls:
            message["tool_calls"] = [called(call) for call in scene.calls]
        logprobs = {"content": [token(piece) for piece in scene.pieces()]} if asked.logprobs else None
        choices.append({"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish(scene)})
    return {
        **stamp("chat.completion", asked),
        "choices": choices,
        "usage": usage(scene),
        "future_field": {"kept": 1.0, "text": "é"},
    }


def events(scene, asked):
    """The events of a streamed answer, one text each."""
    base = stamp("chat.completion.chunk", asked)

    def event(index, delta, finish_reason=None, logprobs=None):
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        null_usage = {"usage": None} if asked.usage_wanted else {}
        return data({**base, "choices": [choice], **null_usage, "future_field": {"kept": 1.0}})

    choices = range(asked.n)
    for index in choices:
        yield event(index, {"role": "assistant", "content": None if scene.calls else ""})
    if scene.thought:
        yield event(0, {"reasoning_content": scene.thought})
    for piece in scene.pieces():
        for index in choices:
            logprobs = {"content": [token(piece)]} if asked.logprobs else None
            yield event(index, {"content": piece}, logprobs=logprobs)
    for position, call in enumerate(scene.calls):
        head = called(call, arguments="")
        yield event(0, {"tool_calls": [{"index": position, **head}]})
        for start in range(0, len(call.arguments), 5):
            piece = {"arguments": call.arguments[start : start + 5]}
            yield event(0, {"tool_calls": [{"index": position, "function": piece}]})
    for index in choices:
        yield event(index, {}, finish_reason=finish(scene))
    if asked.usage_wanted:
        yield data({**base, "choices": [], "usage": usage(scene)})
    yield STREAM_END


def error(refusal):
    kind = "rate_limit_error" if refusal.status == 429 else "invalid_request_error" if refusal.status < 500 else "server_error"
    return {"error": {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code}}


def key(headers):
    return (headers.get("authorization") or "").removeprefix("Bearer ")


def data(value):
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def stamp(kind, asked):
    return {"id": "chatcmpl-mock", "object": kind, "created": 1700000000, "model": asked.model, "system_fingerprint": "fp_mock"}


def finish(scene):
    return "tool_calls" if scene.calls else "stop"


def called(call, arguments=None):
    given = call.arguments if arguments is None else arguments
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": given}}


def token(piece):
    return {"token": piece, "logprob": -0.25, "bytes": list(piece.encode()), "top_logprobs": []}


def usage(scene):
    return {
        "prompt_tokens": scene.prompt_tokens,
        "completion_tokens": scene.output_tokens,
        "total_tokens": scene.prompt_tokens + scene.output_tokens,
        "prompt_tokens_details": {"cached_tokens": scene.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": scene.thought_tokens},
    }
