"""Anthropic's Messages, as the scripted upstream speaks them."""

import base64
import json

from scene import Asked, Refusal


KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


def answers(path):
    return path == "/v1/messages"


def read(body, headers, _path):
    request = json.loads(body)
    if not headers.get("anthropic-version"):
        return Refusal(400, "anthropic-version: header is required")
    if not isinstance(request.get("max_tokens"), int):
        return Refusal(400, "max_tokens: Field required", param="max_tokens")
    last = request["messages"][-1]
    parts = last["content"] if isinstance(last["content"], list) else [{"type": "text", "text": last["content"]}]
    results = [part for part in parts if part["type"] == "tool_result"]
    form = (request.get("output_config") or {}).get("format") or request.get("output_format") or {}
    return Asked(
        body=body,
        model=request["model"],
        said="".join(part["text"] for part in parts if part["type"] == "text"),
        stream=bool(request.get("stream")),
        images=[base64.b64decode(part["source"]["data"]) for part in parts if part["type"] == "image"],
        tools=[tool["name"] for tool in request.get("tools") or []],
        tool_result=text_of(results[0]["content"]) if results else None,
        schema=form.get("schema"),
    )


def text_of(content):
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def whole(scene, asked):
    return {**message(asked), "content": blocks(scene), "stop_reason": finish(scene), "usage": usage(scene)}


def blocks(scene):
    found = []
    if scene.thought:
        found.append({"type": "thinking", "thinking": scene.thought, "signature": "c2lnbmVk"})
    if scene.text:
        found.append({"type": "text", "text": scene.text})
    for call in scene.calls:
        found.append({"type": "tool_use", "id": call.id, "name": call.name, "input": json.loads(call.arguments)})
    return found


def events(scene, asked):
    """The events of a streamed answer, one text each."""
    start = {**message(asked), "content": [], "stop_reason": None, "usage": {**usage(scene), "output_tokens": 1}}
    yield event("message_start", message=start)
    yield event("ping")
    for index, (opening, deltas) in enumerate(streamed_blocks(scene)):
        yield event("content_block_start", index=index, content_block=opening)
        for delta in deltas:
            yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    ending = {"stop_reason": finish(scene), "stop_sequence": None}
    yield event("message_delta", delta=ending, usage={"output_tokens": scene.output_tokens})
    yield event("message_stop")


def streamed_blocks(scene):
    """Each block as it opens, and what is added to it."""
    if scene.thought:
        added = [{"type": "thinking_delta", "thinking": scene.thought}, {"type": "signature_delta", "signature": "c2lnbmVk"}]
        yield {"type": "thinking", "thinking": "", "signature": ""}, added
    if scene.text:
        yield {"type": "text", "text": ""}, ({"type": "text_delta", "text": piece} for piece in scene.pieces())
    for call in scene.calls:
        pieces = [call.arguments[start : start + 5] for start in range(0, len(call.arguments), 5)]
        opening = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        yield opening, [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *pieces]]


def error(refusal):
    kind = KINDS.get(refusal.status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": refusal.message}, "request_id": "req_mock"}


def key(headers):
    return headers.get("x-api-key") or (headers.get("authorization") or "").removeprefix("Bearer ")


def event(name, **fields):
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields}, ensure_ascii=False)}\n\n"


def message(asked):
    return {"id": "msg_mock", "type": "message", "role": "assistant", "model": asked.model, "stop_sequence": None}


def finish(scene):
    return "tool_use" if scene.calls else "end_turn"


def usage(scene):
    # Here what was read from the cache is not part of the input.
    return {
        "input_tokens": scene.prompt_tokens - scene.cached_tokens,
        "cache_read_input_tokens": scene.cached_tokens,
        "cache_creation_input_tokens": 0,
        "output_tokens": scene.output_tokens,
    }
